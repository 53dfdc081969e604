"""What a waiting operation waits for, at which place, and about how long: from Redis and from past operations."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError
from rq.rate_limit import RateLimitRegistry
from sqlalchemy import select

from ravada_web.extensions import db, queues
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import Operation, OperationState, User, operation_of
from ravada_web.services.operations import workers
from ravada_web.services.operations.kinds import KINDS, QUEUES
from ravada_web.services.operations.limits import limit_key
from ravada_web.services.permissions import scopes

# So many past operations say how long one of a kind takes.
PAST = 20


@dataclass(frozen=True)
class Waiting:
    """`position` counts from 1 among those that wait for the same; `seconds` is about how long, None if not known."""

    reason: Message
    position: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class _Queues:
    """Redis, read at once: the jobs of each queue, those held back and those let through by each limit, the workers."""

    jobs: dict[str, list[str]]
    held: dict[str, list[str]]
    through: dict[str, list[str]]
    served: dict[str, workers.QueueRow]


def explain(viewer: User, rows: Sequence[Operation]) -> dict[int, Waiting]:
    """For each of these operations that waits, what for; {} while Redis is away."""
    waiting = [row for row in rows if row.state == OperationState.WAITING]
    if not waiting:
        return {}
    try:
        seen = _read()
    except RedisError:
        return {}
    usual = _usual_seconds({row.kind for row in waiting})
    titles = _titles(viewer, seen)
    return {row.id: _waiting(row, seen, usual.get(row.kind), titles) for row in waiting}


def _read() -> _Queues:
    keys = RateLimitRegistry.all(queues.redis)
    with queues.redis.pipeline(transaction=False) as pipe:
        for name in QUEUES:
            pipe.lrange(f"rq:queue:{name}", 0, -1)
        for registry in keys:
            pipe.zrange(registry.rate_limited_key, 0, -1)
            pipe.zrange(registry.allowed_key, 0, -1)
        id_lists = [[job_id.decode() for job_id in ids] for ids in pipe.execute()]
    held = {registry.key: id_lists[len(QUEUES) + 2 * at] for at, registry in enumerate(keys)}
    through = {registry.key: id_lists[len(QUEUES) + 2 * at + 1] for at, registry in enumerate(keys)}
    served = {row.name: row for row in workers.queue_rows(workers.listing())}
    return _Queues(dict(zip(QUEUES, id_lists, strict=False)), held, through, served)


def _titles(viewer: User, seen: _Queues) -> dict[str, Message]:
    """The titles of the operations that hold limits, by their jobs, as far as the viewer may know of them."""
    jobs = {job_id: operation_of(job_id) for ids in seen.through.values() for job_id in ids}
    if not jobs:
        return {}
    query = select(Operation.id, Operation.title).where(Operation.id.in_(set(jobs.values())))
    known = dict(db.session.execute(query.where(scopes.operations(viewer))).all())
    return {job_id: known[number] for job_id, number in jobs.items() if number in known}


def _usual_seconds(kinds: set[str]) -> dict[str, float]:
    """How long the latest operations of these kinds took, the median."""
    usual = {}
    for kind in kinds:
        took = (
            select(Operation.started_at, Operation.finished_at)
            .where(Operation.kind == kind, Operation.state == OperationState.DONE, Operation.started_at.is_not(None))
            .order_by(Operation.id.desc())
            .limit(PAST)
        )
        past = [(end - begin).total_seconds() for begin, end in db.session.execute(took) if begin and end]
        if past:
            usual[kind] = statistics.median(past)
    return usual


def _waiting(row: Operation, seen: _Queues, usual: float | None, titles: dict[str, Message]) -> Waiting:
    kind = KINDS[row.kind]
    queue = seen.served[kind.queue]
    if queue.unserved:
        return Waiting(message("operations.no_worker", queue=kind.queue))
    limit = limit_key(row.node_id, kind.limit) if row.node_id and kind.limit else ""
    if row.job_id in seen.held.get(limit, ()):
        return _held_back(row, limit, seen, usual, titles)
    jobs = seen.jobs[kind.queue]
    if row.job_id not in jobs:
        return Waiting(message("operations.being_handed_over"))
    position = jobs.index(row.job_id) + 1
    if queue.busy < queue.workers and position == 1:
        return Waiting(message("operations.starting_shortly"), 1)
    reason = message("operations.workers_busy", count=queue.workers, queue=kind.queue)
    return Waiting(reason, position, _about(usual, position, queue.workers))


def _held_back(row: Operation, limit: str, seen: _Queues, usual: float | None, titles: dict[str, Message]) -> Waiting:
    ahead = seen.through.get(limit, [])
    position = seen.held[limit].index(row.job_id) + 1
    busy = message("operations.node_busy", node=row.node.name if row.node else "", count=len(ahead))
    now = titles.get(ahead[0]) if ahead else None
    reason = sentences(busy, message("operations.now_running", title=now) if now else NOTHING)
    return Waiting(reason, position, _about(usual, position, len(ahead)))


def _about(usual: float | None, position: int, side_by_side: int) -> float | None:
    """Seconds until its turn: so many rounds of the usual time, the one under way half done."""
    return None if usual is None else usual * (math.ceil(position / max(1, side_by_side)) - 0.5)
