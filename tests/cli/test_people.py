"""The commands of people: groups, users in groups, and bases that are offered."""

import json

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Base, Group
from ravada_web.services.bases import offers
from ravada_web.services.people import quotas, users
from ravada_web.services.people.quotas import Quota
from ravada_web.services.sign_in import passwords
from tests.conftest import People
from tests.support.factories import make_base, make_nodes


def run(app: Flask, line: str) -> str:
    """What a command prints. Raises AssertionError when it fails."""
    result = app.test_cli_runner().invoke(args=line.split())
    assert result.exit_code == 0, result.output
    db.session.rollback()
    return result.output


def test_a_group_with_limits_and_members(app: Flask, people: People) -> None:
    run(app, "groups create class --clones 2 --running 1 --description first")
    password = run(app, "users create alice --group class").strip()
    alice = passwords.authenticate("alice", password)
    assert alice is not None and quotas.quota_of(alice) == Quota(2, 1, None)
    assert run(app, "groups add class user other") == "added 2\n"
    (row,) = json.loads(run(app, "groups list --json"))
    assert (row["name"], row["members"], row["clones"], row["memory_mib"]) == ("class", 3, 2, None)
    run(app, "groups quota class --memory 512")
    assert quotas.quota_of(users.by_name(people.administrator, "user")) == Quota(None, None, 512)
    assert run(app, "groups remove class user other") == "removed 2\n"
    run(app, "groups delete class")
    assert db.session.scalars(select(Group)).all() == []


def test_a_base_is_offered_and_withdrawn(app: Flask, people: People) -> None:
    make_base(make_nodes(1))
    run(app, "groups create class")
    run(app, "groups add class user")
    run(app, "bases offer linux --group class --user other --volatile --may-delete")
    base = db.session.scalars(select(Base)).one()
    assert (base.offered_to_all, base.offers_volatile, base.users_may_delete, base.users_may_refuse) == (
        False,
        True,
        True,
        False,
    )
    assert [one.name for one in offers.offered(people.user)] == ["linux"]
    assert [one.name for one in offers.offered(people.other)] == ["linux"]
    assert base.remakes
    run(app, "bases offer linux --no-remake")
    db.session.refresh(base)
    assert not base.remakes
    assert offers.offered(people.user) == offers.offered(people.other) == []


@pytest.mark.parametrize(
    "line",
    [
        "groups create a;b",
        "groups add class ghost",
        "groups remove class other",
        "groups delete ghost",
        "users create bob --group ghost",
        "bases offer ghost --all",
    ],
)
def test_what_is_refused_is_one_line_and_exit_1(app: Flask, people: People, line: str) -> None:
    run(app, "groups create class")
    run(app, "groups add class user")
    result = app.test_cli_runner().invoke(args=line.split())
    assert result.exit_code == 1
    assert len(result.output.strip().splitlines()) == 1 and result.output.startswith("Error: ")
    assert users.find("bob") is None
