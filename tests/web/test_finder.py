"""The finder: what has a name is found by a part of it, by the rights of whoever looks; pages by their words."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ravada_web.extensions import db
from ravada_web.models import User
from ravada_web.services import finding
from ravada_web.web.finding import places
from tests.conftest import People
from tests.support.factories import make_group
from tests.web.asking import fragment
from tests.web.conftest import World

SignInAs = Callable[[User | str], FlaskClient]


def links(text: str) -> list[str]:
    return re.findall(r'class="finder-one" href="([^"]+)"', text)


def test_staff_find_everything_and_a_user_their_own_desktops_alone(
    world: World, people: People, sign_in: SignInAs
) -> None:
    make_group("foreigners")
    db.session.commit()
    client = sign_in("operator")
    assert f"/clones/{world.foreign}" in links(client.get("/find?q=FOREIGN").text)
    assert any(link.startswith("/groups/") for link in links(client.get("/find?q=foreigners").text))
    assert f"/users/{people.other.id}" in links(client.get("/find?q=othe").text)
    assert f"/nodes/{world.nodes[1]}" in links(client.get("/find?q=n2").text)
    assert f"/bases/{world.base}" in links(client.get("/find?q=inu").text)
    client = sign_in("user")
    assert links(client.get("/find?q=mine").text) == [f"/console/{world.mine}"], "one click to the screen"
    for sought in ("foreign", "other", "n2", "linux"):
        assert links(client.get(f"/find?q={sought}").text) == [], sought


def test_what_begins_so_comes_first_and_letters_that_mean_something_to_sql_are_letters(
    world: World, people: People
) -> None:
    for name in ("a-zeta", "zeta", "50%_off"):
        make_group(name)
    db.session.commit()
    assert [group.name for group in finding.find(people.operator, "zet").groups] == ["zeta", "a-zeta"]
    assert [group.name for group in finding.find(people.operator, "%_").groups] == ["50%_off"]
    assert not finding.find(people.operator, " ")


def test_pages_and_what_is_begun_there_are_found_by_their_words(world: World, sign_in: SignInAs) -> None:
    assert links(sign_in("administrator").get("/find?q=import").text) == ["/bases/import", "/users/upload"]
    assert links(sign_in("operator").get("/find?q=import").text) == []
    assert "/account/password" in links(sign_in("user").get("/find").text)
    assert "No matches" in sign_in("user").get("/find?q=zzz").text


@pytest.mark.parametrize("role", ["user", "operator", "administrator"])
def test_every_place_that_is_offered_opens_and_no_key_leads_to_two(world: World, sign_in: SignInAs, role: str) -> None:
    client = sign_in(role)
    for link in links(client.get("/find").text):
        assert client.get(link).status_code == 200, link
    keys = [place.key for place in (*places.MAIN, *places.MORE, *places.OTHERS) if place.key]
    assert len(keys) == len(set(keys)) and "g" not in keys


def test_in_the_dialog_it_is_a_fragment_and_names_are_escaped(world: World, people: People, sign_in: SignInAs) -> None:
    make_group("<b>bold</b>")
    db.session.commit()
    text = fragment(sign_in("operator"), "/find?q=bold").text
    assert "<html" not in text and "&lt;b&gt;bold" in text and "<b>bold" not in text
    assert "<html" not in fragment(sign_in("user"), "/keys").text
