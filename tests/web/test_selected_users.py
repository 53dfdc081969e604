"""Users selected in the list: what is done to all of them, what is skipped and why, and what the page asks first."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ravada_web.errors import NotAllowed
from ravada_web.extensions import db
from ravada_web.models import Group, User, UserSession
from ravada_web.services.people import selected
from tests.conftest import People
from tests.support.factories import make_group
from tests.web.asking import fragment
from tests.web.conftest import World

SignInAs = Callable[[User | str], FlaskClient]


def selection(*users: User) -> str:
    return "&".join(f"id={user.id}" for user in users)


def read(user: User) -> User:
    db.session.expire_all()
    return db.session.get_one(User, user.id)


def test_many_are_deactivated_oneself_is_not_and_the_reason_is_told(
    world: World, people: People, sign_in: SignInAs
) -> None:
    sign_in("other")
    client = sign_in("administrator")
    chosen = selection(people.user, people.other, people.administrator)
    asked = fragment(client, f"/users/selected/off?{chosen}", at="/users").text
    assert "Deactivate 3 users?" in asked and f'name="id" value="{people.other.id}"' in asked
    ids = [people.user.id, people.other.id, people.administrator.id, 999]
    answer = fragment(client, "/users/selected/off", method="POST", at="/users", data={"id": ids})
    told = answer.headers["HX-Trigger"]
    assert "2 users deactivated. administrator: " in told and "yourself" in told and '"warning"' in told
    assert not read(people.user).active and not read(people.other).active and read(people.administrator).active
    assert db.session.query(UserSession).filter_by(user_id=people.other.id).count() == 0
    answer = fragment(client, "/users/selected/on", method="POST", at="/users", data={"id": ids})
    assert "2 users activated" in answer.headers["HX-Trigger"] and read(people.user).active


def test_they_are_added_to_a_group_and_who_is_in_it_already_is_no_error(
    world: World, people: People, sign_in: SignInAs
) -> None:
    client, chosen = sign_in("administrator"), selection(people.user, people.other)
    assert "no group yet" in client.get(f"/users/selected/group?{chosen}").text
    group = make_group("class")
    db.session.commit()
    assert "class" in client.get(f"/users/selected/group?{chosen}").text
    for added in (2, 0):
        data = {"id": [people.user.id, people.other.id], "choice": str(group.id)}
        answer = fragment(client, "/users/selected/group", method="POST", at="/users", data=data)
        assert f"{added} users added to class" in answer.headers["HX-Trigger"]
    db.session.expire_all()
    assert {user.name for user in db.session.get_one(Group, group.id).users} == {"user", "other"}
    for wrong in ("", "x", "999"):
        data = {"id": people.user.id, "choice": wrong}
        assert client.post("/users/selected/group", data=data).status_code == 404


def test_without_a_selection_or_by_others_nothing_is_done(world: World, people: People, sign_in: SignInAs) -> None:
    answer = fragment(sign_in("administrator"), "/users/selected/off", method="POST", at="/users")
    assert answer.status_code == 422 and "Select at least one user" in answer.headers["HX-Trigger"]
    assert "data-select-all" not in sign_in("operator").get("/users").text
    for act in (selected.deactivate, selected.activate):
        with pytest.raises(NotAllowed):
            act(people.operator, [people.user.id])
    assert read(people.user).active
