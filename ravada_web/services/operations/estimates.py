"""How long until a waiting job's turn: by what past operations took for each thing, and the sizes of those ahead."""

import heapq
import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from ravada_web.clock import age
from ravada_web.extensions import db
from ravada_web.models import Operation, OperationState, attempt_id
from ravada_web.services.operations.kinds import queue_of

# So many past operations say how long one of a kind takes.
PAST = 20


@dataclass(frozen=True)
class Line:
    """A queue: how many workers serve it, how many of them are busy, and the jobs that wait, in their order.

    `key_of` is the node's limit of a job that has one, `slots` how many jobs such a limit lets through at a time.
    """

    workers: int
    busy: int
    jobs: Sequence[str]
    key_of: Mapping[str, str]
    slots: Mapping[str, int]


@dataclass(frozen=True)
class _Open:
    """An operation that is not over: how long it takes (None if not known), and for how long it has run."""

    job_id: str
    queue: str
    takes: float | None
    runs: float | None

    @property
    def left(self) -> float:
        """Seconds until it ends; infinite where nothing is known of that, as for one that takes longer than usual."""
        if self.takes is None or self.runs is None or self.runs > self.takes:
            return math.inf
        return self.takes - self.runs


def turns(lines: Mapping[str, Line]) -> dict[str, float]:
    """For each job in these queues (by their names) about how many seconds it is until its turn; those of which that
    is not known are left out."""
    open_now = _open_operations()
    found: dict[str, float] = {}
    for name, line in lines.items():
        found |= _turns(line, {row.job_id: row for row in open_now if row.queue == name})
    return found


def _turns(line: Line, rows: Mapping[str, _Open]) -> dict[str, float]:
    """Have the workers serve the line, in the mind: each job starts when a worker and a slot of its limit are free."""
    running = [row for row in rows.values() if row.runs is not None]
    left = [row.left for row in running] + [math.inf] * (line.busy - len(running))
    free = sorted(left + [0.0] * (line.workers - len(left)))
    slots = {key: [0.0] * count for key, count in line.slots.items()}
    for row in running:
        _take(slots.get(line.key_of.get(row.job_id, "")), row.left)
    found = {}
    for job_id in line.jobs:
        mine = slots.get(line.key_of.get(job_id, ""))
        begins = max(free[0], min(mine) if mine else 0.0) if free else math.inf
        if math.isinf(begins):
            break
        found[job_id] = begins
        takes = rows[job_id].takes if job_id in rows else None
        ends = math.inf if takes is None else begins + takes
        heapq.heapreplace(free, ends)
        _take(mine, ends)
    return found


def _take(slots: list[float] | None, until: float) -> None:
    """Take the slot that is free first."""
    if slots:
        heapq.heapreplace(slots, until)


def _open_operations() -> list[_Open]:
    columns = (
        Operation.id,
        Operation.attempt,
        Operation.kind,
        Operation.awaited,
        Operation.items,
        Operation.state,
        Operation.started_at,
    )
    states = (OperationState.WAITING, OperationState.RUNNING)
    rows = db.session.execute(select(*columns).where(Operation.state.in_(states))).all()
    each = _seconds_each({kind for _id, _attempt, kind, *_rest in rows})
    found = []
    for id_, attempt, kind, awaited, items, state, started_at in rows:
        takes = each[kind] * items if items and kind in each else None
        runs = _runs(started_at) if state == OperationState.RUNNING else None
        found.append(_Open(attempt_id(id_, attempt), queue_of(kind, awaited), takes, runs))
    return found


def _runs(started_at: datetime | None) -> float:
    """For how many seconds it has run, infinite where that is not known."""
    passed = age(started_at)
    return math.inf if passed is None else passed.total_seconds()


def _seconds_each(kinds: Collection[str]) -> dict[str, float]:
    """How long the latest operations of these kinds took for each thing that they were about, the median."""
    each = {}
    # While it was watched no worker was busy with it.
    ended = func.coalesce(Operation.watched_from, Operation.finished_at)
    for kind in kinds:
        took = (
            select(Operation.started_at, ended, Operation.items)
            .where(Operation.kind == kind, Operation.state == OperationState.DONE)
            .where(Operation.started_at.is_not(None), Operation.items > 0)
            .order_by(Operation.id.desc())
            .limit(PAST)
        )
        past = [
            (end - begin).total_seconds() / items
            for begin, end, items in db.session.execute(took)
            if begin and end and items and begin <= end
        ]
        if past:
            each[kind] = statistics.median(past)
    return each
