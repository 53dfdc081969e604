"""People: passwords, names, and what each role may do."""

import time

import pytest
from argon2 import extract_parameters
from flask import Flask

from ravada_web.errors import InvalidInput, NotAllowed
from ravada_web.identity.passwords import hash_password
from ravada_web.models import Role
from ravada_web.services.people import users
from ravada_web.services.permissions import rights
from ravada_web.services.sign_in import passwords
from ravada_web.services.transaction import transaction
from tests.conftest import DEAR, PASSWORD, People


def test_the_right_password_signs_in_and_no_other(people: People) -> None:
    assert passwords.authenticate("user", PASSWORD) == people.user
    assert passwords.authenticate("user", PASSWORD + "x") is None
    assert passwords.authenticate("nobody", PASSWORD) is None


def test_a_user_who_is_switched_off_does_not_sign_in(people: People) -> None:
    with transaction():
        people.user.active = False
    assert passwords.authenticate("user", PASSWORD) is None


@pytest.mark.clock
def test_an_unknown_name_costs_what_a_wrong_password_does(dear_passwords: None, people: People) -> None:
    """In processor time, of all of the hash's threads: a busy machine lengthens it little."""
    with transaction():
        people.user.password_hash = hash_password(PASSWORD)
        people.other.password_hash, people.other.active = hash_password(PASSWORD), False

    def seconds(name: str, password: str) -> float:
        begun = time.process_time()
        assert passwords.authenticate(name, password) is None
        return time.process_time() - begun

    asked = {"known": ("user", "wrong"), "unknown": ("nobody", PASSWORD), "inactive": ("other", PASSWORD)}
    least = {what: min(seconds(*each) for _time in range(7)) for what, each in asked.items()}
    assert min(least.values()) > 0.01, "hashed at its real cost"
    assert max(least.values()) < 1.5 * min(least.values()), least


def test_what_is_checked_for_an_unknown_name_is_a_hash_of_the_same_cost(dear_passwords: None) -> None:
    assert extract_parameters(DEAR[1]) == extract_parameters(hash_password(PASSWORD))


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
