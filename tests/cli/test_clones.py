"""The commands on many clones: a row for each, and an exit code that says whether all went well."""

import json

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Node, Observed
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes


@pytest.fixture
def three(people: People) -> list[str]:
    """pc-1 on n1 is off, pc-2 on n2 is being created, pc-3 is on n3, which is away."""
    request_clones(people.administrator, Request(make_base(make_nodes(3)), 3, "pc", people.user.name))
    with transaction() as session:
        for number, row in enumerate(session.scalars(select(Clone).order_by(Clone.id)), 1):
            row.state, row.node_id = CloneState.STOPPED, number
        session.scalars(select(Clone).where(Clone.name == "pc-2")).one().state = CloneState.CREATING
        away = session.get_one(Node, 3)
        away.observed, away.reason = Observed.DOWN, "SSH does not answer."
    return ["pc-1", "pc-2", "pc-3"]


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["clones", *words])


def test_what_can_start_starts_and_the_rest_are_rows_with_their_reasons(app: Flask, three: list[str]) -> None:
    done = run(app, "start", *three, "ghost", "pc-1", "--json")
    assert json.loads(done.stdout) == [
        {"clone": "pc-1", "result": "requested", "reason": ""},
        {"clone": "pc-2", "result": "skipped", "reason": "Not possible while being created."},
        {"clone": "pc-3", "result": "skipped", "reason": "Node n3 is not responding. SSH does not answer."},
        {"clone": "ghost", "result": "skipped", "reason": "There is no clone named “ghost”."},
    ]
    assert done.exit_code == 3
    db.session.rollback()
    assert db.session.scalars(select(Clone.state).where(Clone.name == "pc-1")).one() == CloneState.STARTING


def test_without_json_the_reasons_are_lines_on_standard_error(app: Flask, three: list[str]) -> None:
    change(Clone, Clone.name == "pc-3", state=CloneState.CREATING, node_id=2)
    done = run(app, "start", *three)
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        "1 of 3 clones; 2 not:",
        "Error: pc-2, pc-3: Not possible while being created.",
    ]


@pytest.mark.parametrize("command", ["start", "stop", "restart", "delete"])
def test_the_exit_code_tells_all_some_or_none(app: Flask, three: list[str], command: str) -> None:
    change(Clone, Clone.name == "pc-1", state=CloneState.STOPPED if command in ("start", "delete") else "running")
    change(Clone, Clone.name == "pc-3", state=CloneState.CREATING)
    assert run(app, command, "pc-2", "pc-3").exit_code == 1
    assert run(app, command, "ghost").exit_code == 1
    assert run(app, command, *three).exit_code == 3
    assert run(app, command).exit_code == 2


def test_what_is_so_already_is_unchanged_and_well(app: Flask, three: list[str]) -> None:
    change(Clone, Clone.name == "pc-1", state=CloneState.RUNNING)
    done = run(app, "start", "pc-1", "--json")
    assert json.loads(done.stdout) == [{"clone": "pc-1", "result": "unchanged", "reason": "Already running."}]
    assert done.exit_code == 0
