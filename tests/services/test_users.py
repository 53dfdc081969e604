"""People: passwords, names, and what each role may do."""

import time

import pytest
from flask import Flask

from ravada_web.errors import InvalidInput, NotAllowed
from ravada_web.models import Role
from ravada_web.services.people import users
from ravada_web.services.permissions import rights
from ravada_web.services.sign_in import passwords
from ravada_web.services.transaction import transaction
from tests.conftest import PASSWORD, People


def test_the_right_password_signs_in_and_no_other(people: People) -> None:
    assert passwords.authenticate("user", PASSWORD) == people.user
    assert passwords.authenticate("user", PASSWORD + "x") is None
    assert passwords.authenticate("nobody", PASSWORD) is None


def test_a_user_who_is_switched_off_does_not_sign_in(people: People) -> None:
    with transaction():
        people.user.active = False
    assert passwords.authenticate("user", PASSWORD) is None


def test_an_unknown_name_takes_about_as_long_as_a_wrong_password(people: People) -> None:
    def seconds(name: str) -> float:
        begun = time.perf_counter()
        passwords.authenticate(name, "wrong password")
        return time.perf_counter() - begun

    known, unknown = (min(seconds(name) for _time in range(5)) for name in ("user", "nobody"))
    assert unknown > known / 2


def test_the_password_is_kept_only_as_an_argon2_hash(people: People) -> None:
    assert people.user.password_hash.startswith("$argon2id$")
    assert PASSWORD not in people.user.password_hash


@pytest.mark.parametrize(
    ("name", "role", "password", "field"),
    [
        ("", Role.USER, PASSWORD, "name"),
        ("<script>", Role.USER, PASSWORD, "name"),
        ("a" * 64, Role.USER, PASSWORD, "name"),
        ("user", Role.USER, PASSWORD, "name"),
        ("new", "root", PASSWORD, "role"),
        ("new", Role.USER, "short", "password"),
    ],
)
def test_a_wrong_field_is_named(people: People, name: str, role: str, password: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        users.create(people.administrator, name, role, password)
    assert list(refused.value.fields) == [field]


def test_only_administrators_make_users(people: People) -> None:
    for actor in (people.user, people.operator):
        with pytest.raises(NotAllowed):
            users.create(actor, "new", Role.USER)
    assert users.create(people.administrator, "new", Role.USER)[0].name == "new"


def test_each_role_may_do_what_the_one_before_may_and_more() -> None:
    assert rights.RIGHTS[Role.USER] < rights.RIGHTS[Role.OPERATOR] < rights.RIGHTS[Role.ADMINISTRATOR]


def test_the_first_administrator_is_made_once(app: Flask) -> None:
    password = users.ensure_first_administrator()
    assert password is not None and passwords.authenticate("admin", password) is not None
    assert users.ensure_first_administrator() is None
