"""Names that differ in upper and lower case alone: one user's at sign-in, refused for another, with two of before."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import column, insert, select, update
from sqlalchemy import table as sql_table

from ravada_web import create_app
from ravada_web.config import Settings
from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.models import Base, Clone, User
from ravada_web.services.bases import offers
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.people import groups, users
from ravada_web.services.people.names import named_like
from ravada_web.services.sign_in import attempts, passwords
from ravada_web.services.transaction import transaction
from tests.conftest import PASSWORD, People
from tests.support.factories import make_base, make_nodes, make_offer, make_user


@pytest.fixture
def ana(people: People) -> User:
    return users.create(people.administrator, "Ana.Lopez@x.example", "user", PASSWORD)[0]


@pytest.fixture
def twins(people: People) -> list[User]:
    """Two users of before names were one user's: their keys are as the migration has made them."""
    made = [make_user(name) for name in ("bea", "Cleo")]
    with transaction() as session:
        for row in made:
            session.execute(update(User).where(User.id == row.id).values(name_key=f"cleo#{row.id}"))
        session.execute(update(User).where(User.id == made[0].id).values(name="cleo"))
    for row in made:
        passwords.reset_password(people.administrator, row, PASSWORD)
    return made


@pytest.mark.parametrize("typed", ["Ana.Lopez@x.example", "ana.lopez@x.example", "ANA.LOPEZ@X.EXAMPLE"])
def test_she_signs_in_however_she_types_it(ana: User, typed: str) -> None:
    assert passwords.authenticate(typed, PASSWORD) == ana
    assert attempts.by_password(typed, PASSWORD, {}) == ana
    assert passwords.authenticate(typed, "wrong") is None
    assert users.find(typed) == ana


def test_another_user_is_refused_the_name(app: Flask, people: People, ana: User) -> None:
    with pytest.raises(InvalidInput) as wrong:
        users.make(people.administrator, "ANA.lopez@x.example", "user")
    assert "already a user “Ana.Lopez@x.example”" in str(wrong.value)
    done = app.test_cli_runner().invoke(args=["users", "create", "ana.lopez@x.example"])
    assert done.exit_code == 1 and "upper and lower case" in done.stderr
    assert users.find("ANA.lopez@x.example") == ana


def test_she_is_found_wherever_a_name_is_typed(people: People, ana: User) -> None:
    typed = "ana.lopez@X.example"
    group = groups.create(people.administrator, name="class")
    assert groups.add_members(people.administrator, group, f"{typed} {ana.name}") == 1
    assert groups.remove_members(people.administrator, group, typed) == 1
    base_id = make_base(make_nodes(1))
    request_clones(people.administrator, Request(base_id, 1, "desk", typed))
    assert db.session.scalars(select(Clone)).one().owner == ana
    assert db.session.scalars(select(User).where(named_like(people.administrator, typed))).all() == [ana]
    make_offer(base_id, ana)
    assert offers.users_of(people.administrator, db.session.get_one(Base, base_id)) == [ana]


def test_two_of_before_are_each_found_by_the_exact_name_alone(people: People, twins: list[User]) -> None:
    assert [users.find(name) for name in ("cleo", "Cleo", "CLEO")] == [*twins, None]
    with pytest.raises(InvalidInput):
        users.make(people.administrator, "CLEO", "user")
    with pytest.raises(InvalidInput):
        users.make(people.administrator, "Cleo", "user")


def test_the_migration_keeps_two_of_before(bare_database_url: str, tmp_path: Path, redis_url: str) -> None:
    app = create_app(Settings(data=tmp_path / "d", database_url=bare_database_url, redis_url=redis_url))
    with app.app_context():
        upgrade()
        downgrade(revision="0011")
        blank = {"password_hash": "-", "role": "user", "active": True, "language": "", "totp_step": 0}
        blank |= {"must_change_password": False, "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
        table = sql_table("users", column("name"), *map(column, blank))
        with db.engine.begin() as connection:
            connection.execute(insert(table), [{"name": name} | blank for name in ("Bob", "cleo", "Cleo", "dora")])
        upgrade()
        db.session.remove()
        found = [users.find(name) for name in ("BOB", "cleo", "Cleo", "CLEO", "dora")]
        assert [user.name if user else None for user in found] == ["Bob", "cleo", "Cleo", None, "dora"]
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize("name", ["bob+lab@x", "o'brien", "a+b'c.d_e-f@g"])
def test_a_plus_and_an_apostrophe_are_as_good_as_letters(people: People, name: str) -> None:
    made, password = users.create(people.administrator, name, "user")
    assert passwords.authenticate(name, password) == made
    decision = request_clones(people.administrator, Request(make_base(make_nodes(1)), 1, "desk", name))
    assert db.session.scalars(select(Clone).where(Clone.decision_id == decision.id)).one().owner == made


@pytest.mark.parametrize("name", ["'bob", "+bob", "bob ", "bob;x", "bob,x", "b%s", "<b>", "bob\n", "=1", "o’brien", ""])
def test_what_a_list_a_table_or_a_page_would_trip_over_is_no_name(people: People, name: str) -> None:
    with pytest.raises(InvalidInput):
        users.create(people.administrator, name, "user")
