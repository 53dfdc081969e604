"""The sweep: work whose worker is gone, and work that never reached the queue, goes to a fresh attempt."""

import socket
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import structlog
from rq.job import Job
from sqlalchemy import select

from ravada_web.errors import RowsLocked
from ravada_web.extensions import db, queues
from ravada_web.guard import guarded
from ravada_web.messages import Message, message
from ravada_web.models import Operation, OperationState, now
from ravada_web.services.audit import events
from ravada_web.services.operations import left_behind, oddities, outbox, registries
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.kinds import KINDS, QUEUES
from ravada_web.services.operations.processes import process_start
from ravada_web.services.redis_answers import answers
from ravada_web.services.transaction import transaction

log = structlog.get_logger()
# A job that a worker has just taken off its queue is nowhere until its claim; only after this is it lost: at once where
# nobody says that it lives, later where its worker does.
LOST_AFTER = 2.5
STUCK_AFTER = 15.0
MOST_DEATHS = 5
# How often rows are looked for that were left in work, and Redis for what cannot be read.
SETTLE_SECONDS = 5.0
ALIVE_SECONDS = 4


@dataclass(frozen=True)
class Lost:
    """What was found lost: the operation's attempt and its state then, and whether its worker has died, or the job
    ended: what was never begun killed no worker."""

    id: int
    attempt: int
    state: str
    died: bool


class Sweep:
    """Remembers since when it has missed each job, so that a job on its way is not taken for lost."""

    def __init__(self) -> None:
        self._missing: dict[str, float] = {}
        self._settled = -SETTLE_SECONDS

    def run(self) -> int:
        """Hand back what was lost; returns how many operations. Raises RedisError when Redis does not answer."""
        settles = time.monotonic() - self._settled >= SETTLE_SECONDS
        if settles:
            oddities.take_out()
        lost = [*self._lost_running(), *self._lost_waiting()]
        for one in lost:
            with guarded(partial(give_up, one.id), operation=one.id):
                _hand_back(one)
        if settles:
            left_behind.settle()
            self._settled = time.monotonic()
        return len(lost)

    def _lost_running(self) -> list[Lost]:
        db.session.rollback()
        rows = db.session.scalars(select(Operation).where(Operation.state == OperationState.RUNNING)).all()
        return [Lost(row.id, row.attempt, row.state, True) for row in rows if not alive(row)]

    def _lost_waiting(self) -> list[Lost]:
        """Those whose jobs are gone unclaimed."""
        rows = db.session.scalars(select(Operation).where(Operation.state == OperationState.WAITING)).all()
        here = queued_jobs() if rows else set()
        moment = time.monotonic()
        missing = {row.job_id: row for row in rows if row.job_id not in here}
        self._missing = {job_id: self._missing.get(job_id, moment) for job_id in missing}
        return [
            Lost(missing[job_id].id, missing[job_id].attempt, missing[job_id].state, job.ended)
            for job_id, job in _seen(missing).items()
            if moment - self._missing[job_id] >= (STUCK_AFTER if job.in_hand else LOST_AFTER)
        ]


@dataclass(frozen=True)
class _Seen:
    """A job that is in no queue: whether a living worker has it in hand, and whether it ended."""

    in_hand: bool
    ended: bool


def _seen(job_ids: Collection[str]) -> dict[str, _Seen]:
    with queues.redis.pipeline(transaction=False) as pipe:
        for job_id in job_ids:
            pipe.exists(heartbeat_key(job_id))
            pipe.hget(Job.key_for(job_id), "status")
        given = answers(pipe)
    pairs = zip(job_ids, given[::2], given[1::2], strict=True)
    return {job_id: _Seen(bool(beat) and status != b"failed", status == b"failed") for job_id, beat, status in pairs}


def queued_jobs() -> set[str]:
    """The ids of all jobs that wait in a queue or for a node's limit."""
    lists = [*registries.queued(QUEUES).values(), *(limit.held for limit in registries.limited().values())]
    return {job_id for ids in lists for job_id in ids}


def alive(row: Operation) -> bool:
    """Whether the process that does the operation lives: looked up here on its own host, by heartbeat elsewhere."""
    host, _sep, number = row.worker.rpartition(":")[0].rpartition(":")
    start = row.worker.rpartition(":")[2]
    if host == socket.gethostname():
        return number.isdecimal() and process_start(int(number)) == start
    return bool(queues.redis.exists(heartbeat_key(row.job_id)))


def give_up(operation_id: int, reason: Message) -> None:
    """Fail an operation that can be done no more, since not even its next attempt can be begun."""
    with transaction() as session:
        row = session.get(Operation, operation_id)
        if row is None or row.over:
            return
        row.state, row.error, row.finished_at = OperationState.FAILED, reason, now()
        events.record(session, None, "give_up", row, reason, result="failed")


def _hand_back(lost: Lost) -> None:
    try:
        hand_back(lost.id, lost.died, lost)
    except RowsLocked:
        log.warning("somebody else has it in hand, the next sweep looks again", operation=lost.id)


def heartbeat_key(job_id: str) -> str:
    """The Redis key that a worker keeps alive while it does the job."""
    return f"ravada:alive:{job_id}"


def hand_back(operation_id: int, died: bool, lost: Lost | None = None) -> None:
    """Give the operation to a new attempt, or fail it when its workers have died too often; `died` says that this one
    did. Nothing is done where it has moved on since it was found `lost`. A former attempt that still runs ends at its
    next check, and can write nothing.
    """
    with transaction() as session:
        row = session.get_one(Operation, operation_id, with_for_update={"key_share": True})
        if row.over or row.state == OperationState.WATCHED:
            return
        if lost is not None and (lost.attempt, lost.state) != (row.attempt, row.state):
            return
        former = operation_requests.ticket(row)
        row.deaths += died
        if row.deaths >= MOST_DEATHS:
            row.state, row.finished_at = OperationState.FAILED, now()
            row.error = message("operations.worker_died", count=row.deaths)
            KINDS[row.kind].subject.release(session, row, row.error)
        else:
            operation_requests.next_attempt(session, row)
        log.warning("handed back", operation=row.id, attempt=row.attempt, state=row.state)
    outbox.forget(former)
