"""`flask nodes rebalance`: the plan alone, or begun."""

import json

from click.testing import Result
from flask import Flask
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, MovePlan, Operation
from ravada_web.services.clones.requests import Request, request_clones
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["nodes", "rebalance", *words])


def test_it_shows_the_plan_and_begins_it_unless_it_is_a_dry_run(app: Flask, people: People) -> None:
    nodes = make_nodes(2)
    request_clones(people.administrator, Request(make_base(nodes), 4, "pc", people.user.name))
    change(Clone, state=CloneState.STOPPED, node_id=nodes[0])
    change(Operation, state="done")
    shown = run(app, "--dry-run", "--json")
    rows = json.loads(shown.stdout)
    assert (shown.exit_code, [(row["from"], row["to"], row["live"]) for row in rows]) == (0, [("n1", "n2", False)] * 2)
    assert rows[0]["reason"] == "n1 has 4 desktops, n2 has 0."
    assert db.session.scalar(select(MovePlan.id)) is None
    assert "imbalance 71%, afterwards 0%" in run(app, "--dry-run").stdout
    refused = run(app, "--at-once", "0")
    assert (refused.exit_code, db.session.scalar(select(MovePlan.id))) == (1, None)
    assert run(app, "--at-once", "1").exit_code == 0
    db.session.rollback()
    assert db.session.scalars(select(MovePlan.choices)).one()["at_once"] == 1
