"""Rounds of checks are put in order by their numbers: what a worker wrote whose clock was off blinds nobody."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.clock import age, is_recent
from ravada_web.extensions import db
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.models import Clone, CloneState, Node, NodeSample, Observed, Operation, OperationState, Role, User
from ravada_web.remote.sampling import Sample
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.placements.loads import node_loads
from tests.support.clocks import faked
from tests.support.factories import POOL, change, make_base, make_nodes, make_user

GIB = 1 << 30
SAMPLE = Sample(0.5, 16384, 9000, {POOL: (100 * GIB, 40 * GIB)}, 0.0)
# What a worker on another host does: one round, in which all is well, and then it starts the clone.
ROUND = """
from ravada_web import create_app
from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Observed, User
from ravada_web.services.clones import actions
from ravada_web.services.clones.batch import set_state
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.operations.execution import run
from tests.services.monitoring.test_order import SAMPLE
with create_app().app_context():
    record([Answer(1, Observed.UP, round=begin([1])[1], sample=SAMPLE)])
    actions.start(db.session.get_one(User, 1), [1])
    run(db.session.get_one(Clone, 1).operation_id, 1, lambda handle: set_state(handle, [1], CloneState.RUNNING))
"""


@pytest.fixture
def clone_id(migrated_app: Flask) -> int:
    """A clone on the only node, off."""
    chief = make_user("chief", Role.ADMINISTRATOR)
    request_clones(chief, Request(make_base(make_nodes(1)), 1, "pc", "chief"))
    change(Clone, state=CloneState.STOPPED)
    change(Operation, state=OperationState.DONE)
    return db.session.scalars(select(Clone.id)).one()


def row() -> Clone:
    db.session.rollback()
    return db.session.scalars(select(Clone)).one()


def charged() -> int:
    """The memory of starts that the node's figures cannot show yet."""
    db.session.rollback()
    return node_loads(db.session())[1].newer_mib


def check(observed: Observed, state: str = "") -> None:
    """One round, begun and written here."""
    health = NodeHealth({row().uuid: DomainState("pc-1", state)}) if state else None
    sample = SAMPLE if observed == Observed.UP else None
    record([Answer(1, observed, round=begin([1])[1], health=health, sample=sample)])


@pytest.mark.parametrize("off", [3600, -3600])
def test_one_round_by_a_worker_whose_clock_is_an_hour_off_changes_nothing_for_the_next_one(
    migrated_app: Flask, clone_id: int, tmp_path: Path, off: int
) -> None:
    settings = migrated_app.extensions["settings"]
    environment = os.environ | faked(off)
    environment |= {"RAVADA_DATA": str(tmp_path / "other"), "RAVADA_REDIS_URL": settings.redis_url}
    environment |= {"RAVADA_DATABASE_URL": settings.database_url}
    db.session.rollback()
    subprocess.run([sys.executable, "-c", ROUND], env=environment, check=True)
    node, server = db.session.get_one(Node, 1), db.engine.dialect.name == "postgresql"
    assert is_recent(node.checked_at, timedelta(minutes=10)) is server, "on a server all have its clock"
    assert age(node.checked_at) is not None or off > 0, "how old what is ahead is, is not known"
    assert (row().state, charged()) == (CloneState.RUNNING, 512)
    check(Observed.UP, "paused")
    assert (row().state, charged()) == (CloneState.PAUSED, 0), "what is seen now is newer, whatever the clocks say"
    check(Observed.DOWN)
    assert (row().state, row().node.observed) == (CloneState.UNREACHABLE, Observed.DOWN)
    assert is_recent(row().node.checked_at, timedelta(minutes=10))
    chief = db.session.get_one(User, 1)
    assert clone_actions.start(chief, [clone_id]).refused, "nothing is started on a dead node"


def test_an_older_round_that_is_written_later_is_passed_over_and_leaves_no_second_sample(clone_id: int) -> None:
    first, second = begin([1])[1], begin([1])[1]
    assert first < second
    record([Answer(1, Observed.UP, round=second, sample=SAMPLE)])
    record([Answer(1, Observed.DOWN, round=first)])
    assert row().node.observed == Observed.UP
    assert db.session.scalars(select(NodeSample.count)).all() == [1]


MOVES: dict[str, Callable[[User], object]] = {
    "start": lambda chief: clone_actions.start(chief, [1]),
    "delete": lambda chief: clone_actions.delete(chief, [1]),
}


@pytest.mark.parametrize("move", MOVES)
def test_what_a_round_saw_that_began_before_a_move_is_no_news_after_it_either(clone_id: int, move: str) -> None:
    number = begin([1])[1]
    db.session.rollback()
    MOVES[move](db.session.get_one(User, 1))
    moved = row().changed_round
    change(Clone, state=CloneState.RUNNING)  # its work is done by the time the round is written
    record([Answer(1, Observed.UP, round=number, health=NodeHealth({row().uuid: DomainState("pc-1", "stopped")}))])
    assert (moved, row().state) == (number, CloneState.RUNNING)


def test_a_new_clones_disk_is_charged_until_a_round_that_began_after_it_has_measured(clone_id: int) -> None:
    def young() -> int:
        db.session.rollback()
        return node_loads(db.session())[1].young

    number = begin([1])[1]
    change(Clone, made_round=number)
    record([Answer(1, Observed.UP, round=number, sample=SAMPLE)])
    assert young() == 1, "it may have been made after the round had measured"
    check(Observed.UP)
    assert young() == 0
