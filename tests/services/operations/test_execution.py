"""Operations: queued after the commit, claimed once, handed back when lost, retried and cancelled."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select

from ravada_web.config import Settings
from ravada_web.errors import Conflict, NotAllowed, NotFound
from ravada_web.extensions import db, queues
from ravada_web.messages import text
from ravada_web.models import Clone, CloneState, Operation, OperationState
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.operations import outbox
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.execution import Cancelled, Handle, Superseded, run
from ravada_web.services.operations.processes import process_start, this_process
from ravada_web.services.operations.requests import request
from ravada_web.services.operations.sweep import LOST_AFTER, MOST_DEATHS, Sweep, alive, hand_back
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes
from tests.support.servers import wait_until


def new_operation(kind: str = "node_scan") -> int:
    with transaction() as session:
        return request(session, kind, "A test", actor=None).id


def state(operation_id: int) -> str:
    db.session.rollback()
    return db.session.get_one(Operation, operation_id).state


def nothing(_handle: Handle) -> None:
    """Work that has nothing to do."""


def test_a_commit_queues_and_a_rollback_does_not(app: Flask) -> None:
    kept = new_operation()
    with pytest.raises(RuntimeError), transaction() as session:
        request(session, "node_scan", "never", actor=None)
        raise RuntimeError
    assert outbox.queue("setup").get_job_ids() == [f"op-{kept}-1"]


def test_what_is_committed_while_redis_is_away_is_queued_by_the_sweep(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:

        def broken(_tickets: object) -> None:
            raise RedisConnectionError("away")

        away.setattr(outbox, "enqueue", broken)
        operation = new_operation()
    assert outbox.queue("setup").get_job_ids() == []
    sweep = Sweep()
    wait_until(sweep.run, LOST_AFTER + 2, "the sweep hands it back")
    assert outbox.queue("setup").get_job_ids() == [f"op-{operation}-2"]


def test_a_claimed_operation_is_done_once_however_often_its_job_runs(app: Flask) -> None:
    operation, times = new_operation(), []
    for _time in range(2):
        run(operation, 1, lambda handle: times.append(handle.attempt))
    assert times == [1]
    assert state(operation) == OperationState.DONE


def test_a_job_of_a_former_attempt_does_nothing(app: Flask) -> None:
    operation = new_operation()
    hand_back(operation, died=True)

    def never(_handle: Handle) -> None:
        raise AssertionError("a former attempt must not work")

    run(operation, 1, never)
    assert state(operation) == OperationState.WAITING


def test_an_attempt_that_was_handed_on_while_it_ran_stops_and_leaves_the_row(app: Flask) -> None:
    operation = new_operation()

    def overtaken(handle: Handle) -> None:
        hand_back(operation, died=True)
        with pytest.raises(Superseded):
            handle.check()
        handle.check()

    run(operation, 1, overtaken)
    row = db.session.get_one(Operation, operation)
    assert (row.state, row.attempt) == (OperationState.WAITING, 2)


def test_an_expected_error_fails_with_its_text_and_an_unexpected_one_is_named_too(app: Flask) -> None:
    operation = new_operation()

    def refused(_handle: Handle) -> None:
        raise Conflict("The node is down.")

    run(operation, 1, refused)
    assert db.session.get_one(Operation, operation).error == text("The node is down.")

    other = new_operation()

    def broken(_handle: Handle) -> None:
        raise ZeroDivisionError("by nought")

    with pytest.raises(ZeroDivisionError):
        run(other, 1, broken)
    db.session.rollback()
    assert "by nought" in str(db.session.get_one(Operation, other).error)


def test_cancelling_a_running_operation_stops_it_at_its_next_step(app: Flask, people: People) -> None:
    operation = new_operation()

    def work(handle: Handle) -> None:
        operation_requests.cancel(people.operator, [operation])
        with pytest.raises(Cancelled):
            handle.check()
        handle.check()

    run(operation, 1, work)
    assert state(operation) == OperationState.CANCELLED


def test_cancelling_a_waiting_creation_fails_its_clones_with_the_reason(people: People) -> None:
    base = make_base(make_nodes(1))
    request_clones(people.administrator, Request(base, 2, "c", people.user.name))
    operation = db.session.scalars(select(Operation.id)).one()
    operation_requests.cancel(people.operator, [operation])
    rows = db.session.scalars(select(Clone)).all()
    assert {row.state for row in rows} == {CloneState.FAILED}
    assert all("Cancelled by operator" in str(row.reason) for row in rows)
    run(operation, 1, nothing)
    assert state(operation) == OperationState.CANCELLED


def test_retrying_a_failed_creation_takes_its_clones_up_again(people: People) -> None:
    base = make_base(make_nodes(1))
    request_clones(people.administrator, Request(base, 2, "c", people.user.name))
    operation = db.session.scalars(select(Operation.id)).one()

    def refused(_handle: Handle) -> None:
        raise Conflict("no")

    run(operation, 1, refused)
    assert operation_requests.retry(people.operator, [operation]).count == 1
    assert {row.state for row in db.session.scalars(select(Clone))} == {CloneState.CREATING}
    assert f"op-{operation}-2" in outbox.queue("batches").get_job_ids()


def test_only_what_failed_can_be_retried_and_only_by_operators(people: People) -> None:
    operation = new_operation()
    with pytest.raises(Conflict):
        operation_requests.retry(people.operator, [operation])
    for act in (operation_requests.retry, operation_requests.cancel):
        with pytest.raises(NotAllowed):
            act(people.user, [operation])


def test_of_many_what_failed_is_retried_and_the_others_are_named(people: People) -> None:
    waits, failed = new_operation(), new_operation()
    run(failed, 1, lambda _handle: (_ for _ in ()).throw(Conflict("no")))
    retried = operation_requests.retry(people.operator, [waits, failed])
    assert retried.count == 1
    assert [why.kind for why in retried.left] == ["operations.nothing_to_retry"]
    db.session.rollback()
    assert [db.session.get_one(Operation, id_).attempt for id_ in (waits, failed)] == [1, 2]


def test_a_user_sees_only_their_own_operations(people: People) -> None:
    with transaction() as session:
        mine = request(session, "node_scan", "mine", actor=people.user).id
        foreign = request(session, "node_scan", "foreign", actor=people.other).id
    assert operation_list.get(people.user, mine).title == text("mine")
    with pytest.raises(NotFound):
        operation_list.get(people.user, foreign)
    assert operation_list.get(people.operator, foreign).title == text("foreign")


def test_a_running_operation_whose_process_died_goes_to_a_fresh_attempt(app: Flask) -> None:
    operation = new_operation()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        worker = f"{this_process().rsplit(':', 2)[0]}:{child.pid}:{process_start(child.pid)}"
        change(Operation, Operation.id == operation, state=OperationState.RUNNING, worker=worker)
        assert Sweep().run() == 0
        child.kill()
    assert Sweep().run() == 1
    row = db.session.get_one(Operation, operation)
    assert (row.state, row.attempt) == (OperationState.WAITING, 2)


def test_a_recycled_process_id_is_not_taken_for_the_worker(app: Flask) -> None:
    operation = new_operation()
    host = this_process().rsplit(":", 2)[0]
    change(Operation, Operation.id == operation, state=OperationState.RUNNING, worker=f"{host}:{os.getpid()}:1")
    assert not alive(db.session.get_one(Operation, operation))


def test_a_worker_on_another_host_lives_by_its_heartbeat(app: Flask) -> None:
    operation = new_operation()
    change(Operation, Operation.id == operation, state=OperationState.RUNNING, worker="elsewhere:1:1")
    row = db.session.get_one(Operation, operation)
    assert not alive(row)
    queues.redis.set(f"ravada:alive:{row.job_id}", "w", ex=4)
    assert alive(row)


def test_work_that_kills_its_workers_is_given_up_after_some_attempts(people: People) -> None:
    base = make_base(make_nodes(1))
    request_clones(people.administrator, Request(base, 1, "c", people.user.name))
    operation = db.session.scalars(select(Operation.id)).one()
    for _attempt in range(MOST_DEATHS):
        hand_back(operation, died=True)
    assert state(operation) == OperationState.FAILED
    assert db.session.scalars(select(Clone.state)).one() == CloneState.FAILED


def test_handing_back_frees_the_slot_of_the_dead_job_at_once(people: People) -> None:
    base = make_base(make_nodes(1))
    for number in range(3):
        request_clones(people.administrator, Request(base, 2, f"c{number}", people.user.name))
    assert len(outbox.queue("batches").get_job_ids()) == 2, "two builds a node at once, the third waits"
    outbox.queue("batches").pop_job_id()
    first = db.session.scalars(select(Operation.id).order_by(Operation.id)).first()
    assert first is not None
    hand_back(first, died=True)
    assert len(outbox.queue("batches").get_job_ids()) == 2, "the waiting one was let through in its place"


@pytest.mark.clock
@pytest.mark.parametrize("victim", ["horse", "parent", "both"])
def test_a_worker_killed_with_9_has_its_work_handed_back_within_5_seconds(
    app: Flask, settings: Settings, tmp_path: Path, victim: str, drain: Callable[[], None]
) -> None:
    """A real forking worker, on a job that waits: whichever process is killed, the sweep finds out."""
    operation = new_operation("node_scan")
    hung = outbox.queue("bulk").enqueue("tests.support.hanging.hang", args=(operation, 1), job_timeout=600)
    outbox.queue("setup").empty()
    environment = os.environ | {"RAVADA_DATA": str(settings.data), "RAVADA_REDIS_URL": settings.redis_url}
    worker = subprocess.Popen([sys.executable, "-m", "tests.support.more_jobs", "bulk"], env=environment)
    try:
        wait_until(lambda: state(operation) == OperationState.RUNNING, 20, "the worker claims it")
        horse = int(db.session.get_one(Operation, operation).worker.split(":")[-2])
        for process_id in {"horse": [horse], "parent": [worker.pid], "both": [worker.pid, horse]}[victim]:
            os.kill(process_id, signal.SIGKILL)
        sweep = Sweep()
        wait_until(sweep.run, 5, "it is handed back")
        assert db.session.get_one(Operation, operation).attempt == 2
        wait_until(lambda: not process_start(horse), 5, "the horse is gone with its parent")
    finally:
        worker.kill()
        worker.wait()
    assert hung.id
