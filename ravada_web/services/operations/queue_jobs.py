"""The jobs that Redis holds, to look at: what each is, how far it is, and how it ended.

Whoever can write to Redis can write a job there: each is read by itself, and what it says is bounded.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis.exceptions import RedisError
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from ravada_web.errors import NotAllowed, NotFound, QueueUnreachable
from ravada_web.extensions import queues
from ravada_web.messages import message
from ravada_web.messages.foreign import printable
from ravada_web.models import User, operation_of
from ravada_web.services.operations import registries, workers
from ravada_web.services.operations.kinds import QUEUES
from ravada_web.services.operations.limits import limit_of
from ravada_web.services.paging import Page, cut
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.redis_answers import answers, words

# By RQ's own names; those with a registry come with it.
REGISTRIES = {"started": StartedJobRegistry, "failed": FailedJobRegistry, "finished": FinishedJobRegistry}
STATES = ("queued", "rate_limited", *REGISTRIES)
UNREADABLE = "unreadable"
# Of more jobs in one state, these are listed: the first to be done, the last that were begun or ended.
MOST_LISTED = 1000


@dataclass(frozen=True)
class JobRow:
    """A job. `call` is its function and ids; `failure` is the type of what it raised, or RQ's words. Of one that is
    UNREADABLE, the id is all there is."""

    id: str
    state: str = UNREADABLE
    call: str = ""
    queue: str = ""
    failure: str = ""
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def operation_id(self) -> int | None:
        """The operation that it does an attempt of; None for a periodic job."""
        return operation_of(self.id)


def may_see(viewer: User) -> bool:
    """Whether the viewer may look at jobs: who may see all operations."""
    return rights.can(viewer, "operations.see") and scopes.of(viewer) is None


def _require(viewer: User) -> None:
    rights.require(viewer, "operations.see")
    if not may_see(viewer):
        raise NotAllowed(message("operations.jobs_need_all"))


def counts() -> dict[str, dict[str, int]]:
    """How many jobs of each queue are in each state that has a registry; {} while Redis is away, which is shown
    elsewhere."""
    pairs = [(name, state) for name in QUEUES for state in REGISTRIES]
    with queues.redis.pipeline(transaction=False) as pipe:
        for name, state in pairs:
            pipe.zcard(_registry(name, state))
        try:
            numbers = dict(zip(pairs, (number or 0 for number in answers(pipe)), strict=True))
        except RedisError:
            return {}
    return {name: {state: numbers[name, state] for state in REGISTRIES} for name in QUEUES}


def _registry(queue: str, state: str) -> str:
    return str(REGISTRIES[state].key_template.format(queue))


def listing(viewer: User, queue: str, state: str, page: int = 1) -> Page[JobRow]:
    """The jobs of a queue in a state. Raises NotAllowed, NotFound for no such queue or state, QueueUnreachable."""
    _require(viewer)
    if queue not in QUEUES or state not in STATES:
        raise NotFound(message("operations.no_such_queue"))
    try:
        ids = cut(_ids(queue, state), page)
        return Page(_rows(ids.items), ids.total, ids.page, ids.pages)
    except RedisError as error:
        raise QueueUnreachable(message("operations.queue_unreachable")) from error


def get(viewer: User, job_id: str) -> JobRow:
    """One job. Raises NotAllowed, NotFound for one that Redis does not hold any more, QueueUnreachable."""
    _require(viewer)
    try:
        if not queues.redis.exists(Job.key_for(job_id)):
            raise NotFound(message("operations.job_gone"))
        return _rows([job_id])[0]
    except RedisError as error:
        raise QueueUnreachable(message("operations.queue_unreachable")) from error


def _ids(queue: str, state: str) -> Sequence[str]:
    if state == "queued":
        return registries.queued([queue])[queue][:MOST_LISTED]
    if state == "rate_limited":
        limits = workers.limits_on(queue)
        return [job_id for key, ids in workers.held_back().items() if limit_of(key) in limits for job_id in ids]
    with queues.redis.pipeline(transaction=False) as pipe:
        pipe.zrange(_registry(queue, state), 0, MOST_LISTED - 1, desc=True)
        (members,) = answers(pipe)
    # One that runs is named with its execution.
    return [member.partition(":")[0] for member in words(members)]


def _rows(ids: Sequence[str]) -> list[JobRow]:
    with queues.redis.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hgetall(Job.key_for(job_id))
            pipe.xrevrange(f"rq:results:{job_id}", count=1)
        answers = pipe.execute(raise_on_error=False)
    return [_row(*each) for each in zip(ids, answers[::2], answers[1::2], strict=True)]


def _row(job_id: str, stored: Any, results: Any) -> JobRow:
    try:
        return _read(job_id, stored, results)
    except Exception:  # noqa: BLE001  whatever is wrong with it, it is nobody's job
        return JobRow(printable(job_id))


def _read(job_id: str, stored: Mapping[bytes, bytes], results: Sequence[tuple[bytes, Any]]) -> JobRow:
    job = Job(job_id, queues.redis, JSONSerializer)
    job.restore(stored)
    ids = ", ".join(json.dumps(value) for value in (*job.args, *job.kwargs.items()))
    return JobRow(
        id=job_id,
        call=printable(f"{job.func_name}({ids})"),
        queue=printable(job.origin),
        state=str(job.get_status(refresh=False).value),
        failure=printable(_failure(job_id, results)),
        queued_at=job.enqueued_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
    )


def _failure(job_id: str, results: Sequence[tuple[bytes, Any]]) -> str:
    try:
        last = [Result.restore(job_id, number.decode(), said, queues.redis, JSONSerializer) for number, said in results]
    except Exception:  # noqa: BLE001  as above
        return UNREADABLE
    return (last[0].exc_string or "") if last else ""
