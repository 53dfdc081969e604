"""The migrations: up, down and up again, on SQLite and on PostgreSQL; and the models say the same as they do."""

from pathlib import Path

from flask import Flask
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import inspect, select

from ravada_web import create_app
from ravada_web.config import Settings
from ravada_web.extensions import db
from ravada_web.models import Decision, Lock, Node
from ravada_web.services.audit.verification import Fault, verify
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.people.users import create
from ravada_web.services.placements import choice as placement_choice
from tests.support.factories import make_base, make_nodes


def test_up_down_and_up_again(bare_database_url: str, tmp_path: Path, redis_url: str) -> None:
    app = create_app(Settings(data=tmp_path / "d", database_url=bare_database_url, redis_url=redis_url))
    with app.app_context():
        upgrade()
        check()
        assert {"nodes", "clones", "operations"} <= set(inspect(db.engine).get_table_names())
        downgrade(revision="base")
        assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
        upgrade()
        assert db.session.scalars(select(Lock.name)).all() == ["placement"]
        db.session.remove()
        db.engine.dispose()


def test_rows_live_through_the_last_migrations(bare_database_url: str, tmp_path: Path, redis_url: str) -> None:
    app = create_app(Settings(data=tmp_path / "d", database_url=bare_database_url, redis_url=redis_url))
    with app.app_context():
        upgrade()
        make_nodes(2)
        downgrade(revision="0004")
        upgrade()
        db.session.remove()
        nodes = db.session.scalars(select(Node)).all()
        assert [len(node.pools) for node in nodes] == [1, 1], "what refers to a table that is made anew stays"
        db.session.remove()
        db.engine.dispose()


def test_placing_works_on_both(migrated_app: Flask) -> None:
    administrator, _password = create(None, "root", "administrator")
    decision = request_clones(administrator, Request(make_base(make_nodes(3)), 6, "pg", administrator.name))
    assert [verdict["taken"] for verdict in placement_choice.explained(decision)["verdicts"]] == [2, 2, 2]


def test_the_log_and_decisions_of_before_are_taken_over(migrated_app: Flask) -> None:
    administrator, _password = create(None, "root", "administrator")
    decision = request_clones(administrator, Request(make_base(make_nodes(3)), 4, "pg", administrator.name)).id
    said = placement_choice.explained(db.session.get_one(Decision, decision))
    lines = verify().kept
    db.session.remove()
    downgrade(revision="0016")
    upgrade()
    proof = verify()
    assert (proof.fault, proof.kept) == (Fault.NONE, lines) and lines > 1
    assert placement_choice.explained(db.session.get_one(Decision, decision)) == said
    create(None, "later", "user")
    assert verify().kept == lines + 1
