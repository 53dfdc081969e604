"""`flask nodes schedule` and `rest`: what is said, switched on and off, and decided of one node."""

import json

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from ravada_web.config import settings
from ravada_web.extensions import db
from ravada_web.models import Node
from tests.conftest import People
from tests.support.factories import change, make_nodes


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["nodes", *words])


def test_nodes_rest_by_the_command_line(app: Flask, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "wake_command", "/bin/true")
    make_nodes(4)
    change(Node, Node.name != "n1", may_rest=True)
    assert "off; 0 hours rested so far" in run(app, "schedule").stderr
    refused = run(app, "rest", "n2")
    assert refused.exit_code == 1 and "nothing would wake it" in refused.stderr
    assert "on; 0 hours rested so far" in run(app, "schedule", "--on").stderr
    assert run(app, "rest", "n3", "--never").exit_code == 0
    assert run(app, "rest", "n2").exit_code == 0
    rows = {row["node"]: row for row in json.loads(run(app, "schedule", "--json").stdout)}
    assert rows["n2"]["step"] == "emptying" and rows["n2"]["why"].startswith("Requested by ")
    assert rows["n3"]["why"].endswith(" keeps it awake.")
    assert run(app, "rest", "n3", "--again").exit_code == 0
    db.session.rollback()
    assert not db.session.scalars(select(Node).where(Node.name == "n3")).one().rest_held
    assert "off; " in run(app, "schedule", "--off").stderr
