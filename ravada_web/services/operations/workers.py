"""The workers and their queues, as Redis knows them: which are alive, what each does, and queues without a worker; and
all processes of this host, as their parent knows them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from redis.exceptions import RedisError

from ravada_web import beats
from ravada_web.clock import is_recent
from ravada_web.extensions import queues
from ravada_web.messages.foreign import printable
from ravada_web.models import now, operation_of
from ravada_web.services.operations import registries
from ravada_web.services.operations.kinds import KINDS, QUEUES, held_by, queue_of
from ravada_web.services.operations.limits import limit_of
from ravada_web.services.redis_answers import answers

# Workers send a heartbeat every 5 s while they wait, and every second while they work (jobs/worker.py).
WORKER_TTL = 20
ALIVE = timedelta(seconds=WORKER_TTL)
ASKED_EVERY = 3.0


@dataclass(frozen=True)
class WorkerRow:
    """A worker: the queues it serves, what it does now, and when it was heard of last."""

    name: str
    host: str
    pid: int
    queues: tuple[str, ...]
    state: str
    operation_id: int | None
    born_at: datetime | None
    heard_at: datetime | None

    @property
    def alive(self) -> bool:
        """Whether its heartbeat is recent."""
        return is_recent(self.heard_at, ALIVE)


@dataclass(frozen=True)
class QueueRow:
    """A queue: how many wait in it, how many are held back by their node's limit, and its living workers."""

    name: str
    waiting: int
    held_back: int
    workers: int
    busy: int

    @property
    def unserved(self) -> bool:
        """Whether no worker takes from it."""
        return self.workers == 0


def listing() -> list[WorkerRow]:
    """All workers that Redis knows of, by queue and name. Raises RedisError."""
    rows = [
        WorkerRow(
            name=printable(one.name),
            host=printable(one.hostname),
            pid=one.pid,
            queues=tuple(map(printable, one.queues)),
            state=printable(one.state),
            operation_id=operation_of(one.job_id),
            born_at=one.birth,
            heard_at=one.heartbeat if one.heard_ago is None else now() - one.heard_ago,
        )
        for one in registries.worker_records()
    ]
    return sorted(rows, key=lambda row: (row.queues, row.name))


def say_alive(key: str) -> None:
    """Write that the worker of this key was heard of now, by the clock of Redis: hosts' clocks may disagree. Raises
    RedisError."""
    seconds, _microseconds = queues.redis.time()
    queues.redis.hset(key, registries.HEARD, seconds)


def queue_rows(workers: Sequence[WorkerRow]) -> list[QueueRow]:
    """All queues, in their order. Raises RedisError."""
    held = held_back()
    with queues.redis.pipeline(transaction=False) as pipe:
        for name in QUEUES:
            pipe.llen(f"rq:queue:{name}")
        lengths = [length or 0 for length in answers(pipe)]
    rows = []
    for name, length in zip(QUEUES, lengths, strict=True):
        serving = [worker for worker in workers if name in worker.queues and worker.alive]
        limited = sum(len(jobs) for key, jobs in held.items() if limit_of(key) in limits_on(name))
        rows.append(QueueRow(name, length, limited, len(serving), sum(worker.state == "busy" for worker in serving)))
    return rows


def limits_on(queue: str) -> set[str]:
    """The limits of nodes that hold back jobs of a queue."""
    kinds = [(name, awaited) for name in KINDS for awaited in (False, True)]
    limits = {held_by(name, awaited) for name, awaited in kinds if queue_of(name, awaited) == queue}
    return {limit for limit in limits if limit}


def held_back() -> dict[str, list[str]]:
    """The ids of the jobs that wait for a limit, in their order, by the limit's key ("node-N:build")."""
    return {key: limited.held for key, limited in registries.limited().items()}


class _Known:
    """The last answer, so that not every page queries Redis."""

    at = -ASKED_EVERY
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProcessRow:
    """A process of this host: since when it runs, when it said last that it goes on (None: not yet), and whether it is
    `running`, `starting` or stands `still`."""

    name: str
    pid: int
    since: datetime
    heard_at: datetime | None
    state: str


@dataclass(frozen=True)
class Overview:
    """The queues and the workers, both empty while Redis is away, which is shown elsewhere; and the processes of this
    host, none where each was started alone."""

    queues: Sequence[QueueRow]
    rows: Sequence[WorkerRow]
    processes: Sequence[ProcessRow]


def overview() -> Overview:
    """What the page of workers shows."""
    processes = process_rows()
    try:
        rows = listing()
        return Overview(queue_rows(rows), rows, processes)
    except RedisError:
        return Overview((), (), processes)


def process_rows() -> list[ProcessRow]:
    """The processes of this host that were started, in the order in which they start."""
    return [_process_row(process) for process in beats.processes() if process.pid]


def _process_row(process: beats.Process) -> ProcessRow:
    passed = now() - timedelta(seconds=time.monotonic())
    since = passed + timedelta(seconds=process.begun)
    heard_at = passed + timedelta(seconds=process.beat) if process.beat > process.begun else None
    state = "still" if process.still else "running" if heard_at else "starting"
    return ProcessRow(process.name, process.pid, since, heard_at, state)


def unserved() -> tuple[str, ...]:
    """The queues that no living worker serves; () while Redis is away, which is shown elsewhere."""
    if time.monotonic() - _Known.at >= ASKED_EVERY:
        try:
            rows = queue_rows(listing())
        except RedisError:
            return ()
        _Known.at, _Known.names = time.monotonic(), tuple(row.name for row in rows if row.unserved)
    return _Known.names
