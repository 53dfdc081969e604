"""A row that takes no UPDATE, that others keep locked, or over which two wait for each other costs the others of its
lot nothing, on both kinds of database."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from ravada_web import deadlines
from ravada_web.errors import DatabaseBusy, RowsLocked
from ravada_web.extensions import db
from ravada_web.guard import is_everybodys
from ravada_web.models import Alert, Node, Observed, Operation, OperationState
from ravada_web.remote.sampling import Sample
from ravada_web.services import lots
from ravada_web.services.lots import write_lot
from ravada_web.services.monitoring import probe
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.operations import sweep
from ravada_web.services.transaction import transaction
from tests.support.factories import make_nodes, make_operation
from tests.support.stone import refuse_updates, take_updates

FINE = Sample(0.5, 16384, 9000, {}, 0.0)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def rows() -> dict[int, tuple[str, int]]:
    db.session.rollback()
    return {row.id: (row.seen, row.seen_round) for row in db.session.scalars(select(Node))}


def alerts() -> list[tuple[int, str, str]]:
    db.session.rollback()
    of_nodes = select(Alert).where(Alert.pool_id.is_(None)).order_by(Alert.id)
    return [(row.node_id, row.state, row.text.kind) for row in db.session.scalars(of_nodes)]


def round_of(ids: list[int]) -> list[int]:
    """A round of these nodes, all well; returns those that it began with."""
    begun = begin(ids)
    record([Answer(node_id, Observed.UP, round=number, sample=FINE) for node_id, number in begun.items()])
    return sorted(begun)


def test_a_node_whose_row_takes_no_update_has_an_alert_and_the_others_their_round(migrated_app: Flask) -> None:
    ids = make_nodes(7)
    refuse_updates("nodes", ids[3])
    others = [node_id for node_id in ids if node_id != ids[3]]
    for number in (1, 2):
        assert round_of(ids) == others
        assert {rows()[node_id] for node_id in others} == {("up", number)}
        assert alerts() == [(ids[3], "unknown", "nodes.unstorable")]
    assert "this row is stone" in str(db.session.scalars(select(Alert.text).where(Alert.pool_id.is_(None))).one())
    take_updates("nodes")
    round_of(ids)
    assert alerts() == [(ids[3], "", "nodes.unstorable")]


def test_a_row_that_refuses_only_what_was_seen_has_an_alert_too(migrated_app: Flask) -> None:
    ids = make_nodes(3)
    begun = begin(ids)
    refuse_updates("nodes", ids[0])
    record([Answer(node_id, Observed.UP, round=begun[node_id], sample=FINE) for node_id in ids])
    assert [rows()[node_id][1] for node_id in ids] == [0, 1, 1]
    assert alerts() == [(ids[0], "unknown", "nodes.unstorable")]


def test_a_job_of_checks_goes_on_with_the_others(migrated_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = make_nodes(3)
    refuse_updates("nodes", ids[1])
    monkeypatch.setattr(probe, "probe_node", lambda _question, _workspace, answer: setattr(answer, "sample", FINE))
    probe.check(ids)
    assert [rows()[node_id][1] for node_id in ids] == [1, 0, 1]


@contextmanager
def elsewhere(app: Flask, act: Callable[[Session], object]) -> Iterator[Callable[[], None]]:
    """A transaction of somebody else, who has done that in it and then waits; yields what lets it end."""
    done, end = threading.Event(), threading.Event()

    def other() -> None:
        with app.app_context():
            with transaction() as session:
                act(session)
                done.set()
                end.wait(60)
            db.session.remove()

    thread = threading.Thread(target=other)
    thread.start()
    assert done.wait(30)
    try:
        yield end.set
    finally:
        end.set()
        thread.join()


def lock(table: type[Any], row_id: int) -> Callable[[Session], object]:
    return lambda session: session.execute(select(table).where(table.id == row_id).with_for_update())


@on_postgresql
def test_a_node_that_others_keep_locked_is_left_for_the_next_round(
    migrated_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lots, "LOCK_SECONDS", 0.1)
    ids = make_nodes(5)
    with elsewhere(migrated_app, lock(Node, ids[2])):
        assert round_of(ids) == [ids[0], ids[1], ids[3], ids[4]]
    begun = begin(ids)
    with elsewhere(migrated_app, lock(Node, ids[1])):
        record([Answer(node_id, Observed.UP, round=begun[node_id], sample=FINE) for node_id in ids])
    assert [rows()[node_id][1] for node_id in ids] == [2, 1, 1, 2, 2]
    assert alerts() == []


@on_postgresql
def test_two_that_wait_for_each_other_are_both_written(migrated_app: Flask) -> None:
    ids = make_nodes(4)
    barrier = threading.Barrier(2)

    def add_to_each(order: Sequence[int]) -> None:
        met: list[int] = []

        def add(session: Session, some: Sequence[int]) -> None:
            for number in some:
                session.execute(update(Node).where(Node.id == number).values(good_checks=Node.good_checks + 1))
                if not met:
                    met.append(barrier.wait(30))

        with migrated_app.app_context():
            write_lot(order, add, lambda number, why: pytest.fail(f"{number}: {why}"))
            db.session.remove()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(add_to_each, (ids, ids[::-1])))
    assert db.session.scalars(select(Node.good_checks)).all() == [2] * 4


@on_postgresql
def test_work_that_somebody_else_has_in_hand_is_not_given_up(
    migrated_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation_id = make_operation().id
    monkeypatch.setattr(sweep, "LOST_AFTER", 0.0)
    monkeypatch.setattr(deadlines, "OTHERS", replace(deadlines.OTHERS, lock=0.2))
    db.session.remove()
    db.engine.dispose()  # whose connections have the longer limit
    with elsewhere(migrated_app, lock(Operation, operation_id)):
        sweep.Sweep().run()
    sweep.Sweep().run()
    db.session.rollback()
    row = db.session.get_one(Operation, operation_id)
    assert (row.state, row.attempt) == (OperationState.WAITING, 2)


@pytest.mark.parametrize(
    ("code", "everybodys"),
    [("40P01", False), ("40001", False), ("55P03", False), ("54000", False), ("08006", True), ("53300", True),
     ("57014", True), ("57P01", True), (None, True)],
)  # fmt: skip
def test_whose_a_failure_of_the_database_is(code: str | None, everybodys: bool) -> None:
    said = Exception("no")
    said.sqlstate = code  # type: ignore[attr-defined]
    assert is_everybodys(OperationalError("select 1", {}, said)) == everybodys
    assert is_everybodys(DatabaseBusy("busy")) and not is_everybodys(RowsLocked("locked"))
