"""What a waiting operation waits for, at which place, and about how long: from Redis and from past operations."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.clock import not_recent
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import Operation, OperationState, User, operation_of
from ravada_web.services.operations import estimates, registries, workers
from ravada_web.services.operations.kinds import QUEUES, held_by, queue_of
from ravada_web.services.operations.limits import limit_key, limit_of
from ravada_web.services.permissions import scopes

# A page tells its user of a place in the queue once they have waited for so long.
SHOWN_AFTER = timedelta(seconds=1)


@dataclass(frozen=True)
class Waiting:
    """`position` counts from 1 among those that wait for the same; `seconds` is about how long, None if not known."""

    reason: Message
    position: int | None = None
    seconds: float | None = None

    @property
    def queued(self) -> bool:
        """Whether others go first."""
        return self.position is not None and self.reason.kind != "operations.starting_shortly"


@dataclass(frozen=True)
class _Queues:
    """Redis, read at once: the jobs of each queue, those held back and those let through by each limit, the workers."""

    jobs: dict[str, list[str]]
    held: dict[str, list[str]]
    through: dict[str, list[str]]
    served: dict[str, workers.QueueRow]


def places(viewer: User, operation_ids: Collection[int]) -> dict[int, Waiting]:
    """For those of these operations that have waited a while and still have others before them, their places. What
    begins at once asks nothing of Redis."""
    if not operation_ids:
        return {}
    late = (Operation.state == OperationState.WAITING, not_recent(Operation.created_at, SHOWN_AFTER))
    query = select(Operation).options(joinedload(Operation.node)).where(Operation.id.in_(operation_ids), *late)
    found = explain(viewer, db.session.scalars(query).all())
    return {operation_id: waiting for operation_id, waiting in found.items() if waiting.queued}


def explain(viewer: User, rows: Sequence[Operation]) -> dict[int, Waiting]:
    """For each of these operations that waits, what for; {} while Redis is away."""
    waiting = [row for row in rows if row.state == OperationState.WAITING]
    if not waiting:
        return {}
    try:
        seen = _read()
    except RedisError:
        return {}
    names = {queue_of(row.kind, row.awaited) for row in waiting}
    turns = estimates.turns({name: _line(seen, name) for name in names})
    titles = _titles(viewer, seen)
    return {row.id: _waiting(row, seen, turns.get(row.job_id), titles) for row in waiting}


def _line(seen: _Queues, name: str) -> estimates.Line:
    """All that waits in a queue, in the order in which it is served, as far as that can be known."""
    key_of = {job_id: key for held in (seen.through, seen.held) for key, ids in held.items() for job_id in ids}
    held = [job_id for key, ids in seen.held.items() if limit_of(key) in workers.limits_on(name) for job_id in ids]
    jobs = [*seen.jobs[name], *sorted(held, key=lambda job_id: operation_of(job_id) or 0)]
    slots = {key: len(ids) for key, ids in seen.through.items()}
    return estimates.Line(seen.served[name].workers, seen.served[name].busy, jobs, key_of, slots)


def _read() -> _Queues:
    limited = registries.limited()
    held = {key: limit.held for key, limit in limited.items()}
    through = {key: limit.through for key, limit in limited.items()}
    served = {row.name: row for row in workers.queue_rows(workers.listing())}
    return _Queues(registries.queued(QUEUES), held, through, served)


def _titles(viewer: User, seen: _Queues) -> dict[str, Message]:
    """The titles of the operations that hold limits, by their jobs, as far as the viewer may know of them."""
    jobs = {job_id: operation_of(job_id) for ids in seen.through.values() for job_id in ids}
    if not jobs:
        return {}
    query = select(Operation.id, Operation.title).where(Operation.id.in_(set(jobs.values())))
    known = dict(db.session.execute(query.where(scopes.operations(viewer))).all())
    return {job_id: known[number] for job_id, number in jobs.items() if number in known}


def _waiting(row: Operation, seen: _Queues, seconds: float | None, titles: dict[str, Message]) -> Waiting:
    queue = seen.served[queue_of(row.kind, row.awaited)]
    if queue.unserved:
        return Waiting(message("operations.no_worker", queue=queue.name))
    held = held_by(row.kind, row.awaited)
    limit = limit_key(row.node_id, held) if row.node_id and held else ""
    if row.job_id in seen.held.get(limit, ()):
        return _held_back(row, limit, seen, seconds, titles)
    jobs = seen.jobs[queue.name]
    if row.job_id not in jobs:
        return Waiting(message("operations.being_handed_over"))
    position = jobs.index(row.job_id) + 1
    if position <= queue.workers - queue.busy:
        return Waiting(message("operations.starting_shortly"), position)
    reason = message("operations.workers_busy", count=queue.workers, queue=queue.name)
    return Waiting(reason, position, seconds)


def _held_back(row: Operation, limit: str, seen: _Queues, seconds: float | None, titles: dict[str, Message]) -> Waiting:
    ahead = seen.through.get(limit, [])
    position = seen.held[limit].index(row.job_id) + 1
    busy = message("operations.node_busy", node=row.node.name if row.node else "", count=len(ahead))
    now = titles.get(ahead[0]) if ahead else None
    reason = sentences(busy, message("operations.now_running", title=now) if now else NOTHING)
    return Waiting(reason, position, seconds)
