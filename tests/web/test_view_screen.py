"""Staff open a user's screen from wherever they read of the desktop: its row, its page, and its user's page."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, User
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.web.conftest import World

SignInAs = Callable[[User | str], FlaskClient]


def change(clone_id: int, **values: object) -> Clone:
    with transaction() as session:
        clone = session.get_one(Clone, clone_id)
        clone.base.users_may_refuse = True
        for name, value in values.items():
            setattr(clone, name, value)
    return db.session.get_one(Clone, clone_id)


def pages(world: World, people: People) -> list[str]:
    return ["/clones", f"/clones/{world.foreign}", f"/users/{people.other.id}"]


@pytest.mark.parametrize("state", [CloneState.RUNNING, CloneState.PAUSED])
def test_every_page_that_shows_a_users_desktop_leads_to_its_screen(
    world: World, people: People, sign_in: SignInAs, state: CloneState
) -> None:
    change(world.foreign, state=state)
    client = sign_in("operator")
    for path in pages(world, people):
        assert f'href="/console/{world.foreign}"' in client.get(path).text, path
        assert f'href="/console/{world.mine}"' not in client.get(path).text, "it is off"
    assert client.get(f"/console/{world.foreign}").status_code == 200


def test_where_its_user_has_blocked_viewing_the_pages_say_so_and_lead_nowhere(
    world: World, people: People, sign_in: SignInAs
) -> None:
    change(world.foreign, state=CloneState.RUNNING, viewers_refused=True)
    client = sign_in("operator")
    for path in pages(world, people):
        text = client.get(path).text
        assert f'href="/console/{world.foreign}"' not in text and "other has blocked screen viewing" in text, path
    assert client.get(f"/console/{world.foreign}").status_code == 403


def test_the_user_opens_it_as_ever_and_a_desktop_of_ones_own_is_not_viewed(world: World, sign_in: SignInAs) -> None:
    change(world.mine, state=CloneState.RUNNING)
    text = sign_in("user").get(f"/clones/{world.mine}").text
    assert f'href="/console/{world.mine}"' in text and "View screen" not in text
