"""Work that a worker has taken and not begun is on its way: nobody has died of it, however often it is handed on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from rq import Worker
from rq.serializers import JSONSerializer

from ravada_web import ROOT
from ravada_web.config import Settings
from ravada_web.extensions import db, queues
from ravada_web.messages import message
from ravada_web.models import Operation, OperationState, Role
from ravada_web.services.operations import outbox, requests, sweep
from ravada_web.services.operations.sweep import LOST_AFTER, MOST_DEATHS, STUCK_AFTER, Sweep, hand_back, heartbeat_key
from ravada_web.services.transaction import transaction
from tests.support.factories import change, make_user
from tests.support.servers import wait_until

ATTEMPTS = 2 * MOST_DEATHS


class Clock:
    """The sweep's clock, which a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(sweep, "time", self)

    def monotonic(self) -> float:
        """In place of the one that nobody moves."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def asked_for() -> int:
    with transaction() as session:
        return requests.request(session, "node_scan", "A test", actor=None).id


def row(operation_id: int) -> Operation:
    db.session.rollback()
    return db.session.get_one(Operation, operation_id, populate_existing=True)


def taken() -> str:
    """Take a job off its queue, as a worker does before it begins it."""
    job_id = outbox.queue("setup").pop_job_id()
    assert job_id is not None
    return str(job_id)


def test_what_workers_that_stand_still_have_taken_is_handed_on_and_never_given_up(
    migrated_app: Flask, clock: Clock
) -> None:
    operation, sweeper = asked_for(), Sweep()
    for attempt in range(1, ATTEMPTS + 1):
        assert taken() == f"op-{operation}-{attempt}"
        assert sweeper.run() == 0
        clock.now += LOST_AFTER
        assert sweeper.run() == 1
    assert (row(operation).state, row(operation).attempt) == (OperationState.WAITING, ATTEMPTS + 1)
    assert outbox.queue("setup").get_job_ids() == [row(operation).job_id]


def test_what_a_living_worker_is_about_to_begin_is_left_to_it_for_a_while(migrated_app: Flask, clock: Clock) -> None:
    operation, sweeper = asked_for(), Sweep()
    queues.redis.set(heartbeat_key(taken()), "a worker", ex=60)
    assert sweeper.run() == 0
    clock.now += STUCK_AFTER - 1
    assert sweeper.run() == 0 and row(operation).attempt == 1
    clock.now += 1
    assert sweeper.run() == 1 and row(operation).attempt == 2


def test_a_job_that_ends_before_it_has_begun_is_given_up_after_some_times(migrated_app: Flask, clock: Clock) -> None:
    """As where its process dies each time: nothing would ever come of it."""
    operation, sweeper = asked_for(), Sweep()
    for _death in range(MOST_DEATHS):
        job_id = taken()
        queues.redis.hset(f"rq:job:{job_id}", "status", "failed")
        queues.redis.set(heartbeat_key(job_id), "a worker", ex=60)
        sweeper.run()
        clock.now += LOST_AFTER
        sweeper.run()
    assert row(operation).state == OperationState.FAILED
    assert row(operation).error == message("operations.worker_died", count=MOST_DEATHS)


def test_only_deaths_are_counted_and_a_retry_begins_anew(migrated_app: Flask) -> None:
    operation, operator = asked_for(), make_user("operator", Role.OPERATOR)
    for _time in range(ATTEMPTS):
        hand_back(operation, died=False)
    for death in range(1, MOST_DEATHS + 1):
        assert row(operation).state == OperationState.WAITING
        hand_back(operation, died=True)
        assert row(operation).deaths == death
    assert row(operation).state == OperationState.FAILED
    assert row(operation).error == message("operations.worker_died", count=MOST_DEATHS)
    requests.retry(operator, [operation])
    change(Operation, Operation.id == operation, state=OperationState.RUNNING)
    hand_back(operation, died=True)
    assert (row(operation).state, row(operation).deaths) == (OperationState.WAITING, 1)


@contextmanager
def worker(settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of the queue, which waits for work."""
    mine = {"RAVADA_DATA": str(settings.data), "RAVADA_REDIS_URL": settings.redis_url}
    process = subprocess.Popen([sys.executable, "-m", "jobs.worker", "setup"], cwd=ROOT, env=os.environ | mine)
    try:
        wait_until(lambda: process.pid in idle(), 30, "it waits for work")
        yield process
    finally:
        process.kill()
        process.wait()


def idle() -> set[int | None]:
    workers = Worker.all(connection=queues.redis, serializer=JSONSerializer)
    return {one.pid for one in workers if one.get_state() == "idle"}


def test_a_worker_that_is_stopped_takes_one_job_and_costs_no_life(
    app: Flask, settings: Settings, drain: Callable[[], None]
) -> None:
    """Redis gives it what it waited for; whether it ever goes on, the operation is done once, by another."""
    with worker(settings) as process:
        process.send_signal(signal.SIGSTOP)
        operation, sweeper = asked_for(), Sweep()
        wait_until(lambda: not outbox.queue("setup").get_job_ids(), 30, "it is given the job")
        wait_until(sweeper.run, 30, "the sweep hands it on")
        assert (row(operation).attempt, row(operation).deaths) == (2, 0)
        drain()
        over = row(operation)
        assert over.over and over.attempt == 2
        process.send_signal(signal.SIGCONT)
        another = asked_for()
        wait_until(lambda: row(another).over, 30, "it goes on, with the next one")
        assert (row(operation).state, row(operation).attempt) == (over.state, 2)
