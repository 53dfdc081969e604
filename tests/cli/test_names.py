"""Commands find nodes, bases and clones by their names, act on those alone, and say which there is not."""

import json

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import AllowedNode, Clone, CloneState, Node, Operation
from ravada_web.services.transaction import transaction
from tests.cli.test_people import run
from tests.conftest import People
from tests.support.factories import make_base, make_nodes


@pytest.fixture
def clones(app: Flask, people: People) -> list[str]:
    """The names of three clones on three nodes, shut off."""
    make_base(make_nodes(3))
    assert run(app, "clones create linux --count 3 --prefix desk").startswith("3 clones: desk-")
    with transaction() as session:
        rows = session.scalars(select(Clone).order_by(Clone.sort_name)).all()
        for clone in rows:
            clone.state = CloneState.STOPPED
        return [clone.name for clone in rows]


def test_clones_are_started_by_name_or_id(app: Flask, clones: list[str]) -> None:
    second = db.session.scalars(select(Clone.id).where(Clone.name == clones[1])).one()
    run(app, f"clones start {clones[0]} {second}")
    states = dict(db.session.execute(select(Clone.name, Clone.state)).all())
    assert states == {clones[0]: "starting", clones[1]: "starting", clones[2]: "stopped"}
    rows = json.loads(run(app, "clones list --base linux --json"))
    assert [row["name"] for row in rows] == clones
    assert clones[0] in run(app, f"clones why {clones[0]}")


def test_nodes_are_disabled_by_name(app: Flask, people: People) -> None:
    make_nodes(2)
    run(app, "nodes disable n2")
    assert dict(db.session.execute(select(Node.name, Node.service_state)).all()) == {"n1": "enabled", "n2": "disabled"}


def test_a_base_is_allowed_on_nodes_by_name(app: Flask, people: People) -> None:
    n1, _n2, n3 = make_nodes(3)
    make_base([n1])
    run(app, "bases allow linux n3")
    assert set(db.session.scalars(select(AllowedNode.node_id))) == {n1, n3}
    assert db.session.scalars(select(Operation.kind)).all() == ["replica_copy"]
    run(app, "bases allow linux n1 --not")
    assert set(db.session.scalars(select(AllowedNode.node_id))) == {n3}


@pytest.mark.parametrize(
    "line",
    [
        "nodes disable ghost",
        "bases prepare ghost",
        "bases allow linux ghost",
        "clones create ghost --prefix x",
        "clones start ghost",
        "clones delete --yes ghost",
        "clones list --base ghost",
        "users sessions ghost",
        "groups quota ghost",
    ],
)
def test_a_name_that_is_not_there_is_said_in_one_line(app: Flask, people: People, line: str) -> None:
    make_base(make_nodes(1))
    result = app.test_cli_runner().invoke(args=line.split())
    assert result.exit_code == 1 and "ghost" in result.output
    assert len(result.output.strip().splitlines()) == 1 and result.output.startswith("Error: ")
