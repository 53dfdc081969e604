"""From committed operations to queued jobs: after the commit, or by the sweep where that failed."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from redis.exceptions import RedisError
from rq import Queue, RateLimit
from rq.job import Job
from rq.rate_limit import RateLimitRegistry
from rq.serializers import JSONSerializer
from sqlalchemy import event
from sqlalchemy.orm import Session

from ravada_web.errors import QueueUnreachable
from ravada_web.extensions import queues
from ravada_web.guard import guarded
from ravada_web.messages import message
from ravada_web.models import Operation, attempt_id
from ravada_web.services.operations.kinds import KINDS, held_by, queue_of
from ravada_web.services.operations.limits import limit_key
from ravada_web.services.pending import Pending

log = structlog.get_logger()


@dataclass(frozen=True)
class Ticket:
    """What queueing one attempt of an operation needs, taken while its row is at hand."""

    operation_id: int
    attempt: int
    kind: str
    node_id: int | None
    awaited: bool
    at_once: int

    @property
    def job_id(self) -> str:
        """The id of the job that does this attempt."""
        return attempt_id(self.operation_id, self.attempt)

    @property
    def limit_key(self) -> str:
        """The key of its node's limit; "" where none holds it back."""
        limit = held_by(self.kind, self.awaited)
        return limit_key(self.node_id, limit) if limit and self.node_id else ""


_OUTBOX = Pending[Ticket]("outbox")


def post(session: Session, operation: Operation, at_once: int) -> None:
    """Have the operation's present attempt queued when this transaction commits; `at_once` is its limit a node."""
    session.flush()
    _OUTBOX.add(session, ticket_of(operation, at_once))


def listen() -> None:
    """Bind the outbox to the session: a commit queues."""
    if not event.contains(Session, "after_commit", _send):
        event.listen(Session, "after_commit", _send)


def _send(session: Session) -> None:
    tickets = _OUTBOX.take(session)
    try:
        enqueue(tickets)
    except RedisError as error:
        log.warning("not queued, the sweep will", jobs=[ticket.job_id for ticket in tickets], error=str(error))


def enqueue(tickets: Iterable[Ticket]) -> None:
    """Queue the attempts. Raises RedisError; what was queued twice is done once, by the claim. One that cannot be
    queued is left to the sweep, which gives it up."""
    for ticket in tickets:
        with guarded(lambda _reason: None, job=ticket.job_id):
            _enqueue(ticket)


def _enqueue(ticket: Ticket) -> None:
    kind = KINDS[ticket.kind]
    options: dict[str, Any] = {}
    if ticket.limit_key:
        options["rate_limit"] = RateLimit(ticket.limit_key, ticket.at_once)
    queue(queue_of(ticket.kind, ticket.awaited)).enqueue(
        kind.job,
        args=(ticket.operation_id, ticket.attempt),
        job_id=ticket.job_id,
        job_timeout=kind.timeout,
        result_ttl=60,
        failure_ttl=86400,
        **options,
    )


def queue(name: str) -> Queue:
    """The queue of that name; jobs are JSON, never pickle."""
    return Queue(name, connection=queues.redis, serializer=JSONSerializer)


def forget(ticket: Ticket) -> None:
    """Take back an attempt that nobody will do: its job, and its slot in the node's limit, which RQ would hold for over
    a minute after a worker's death."""
    try:
        job = Job.fetch(ticket.job_id, connection=queues.redis, serializer=JSONSerializer)
        job.delete()
    except Exception as error:  # noqa: BLE001  the job may be gone, or unreadable: both mean there is nothing to delete
        log.debug("no job to forget", job=ticket.job_id, error=str(error))
    if ticket.limit_key:
        RateLimitRegistry(ticket.limit_key, queues.redis).release_and_enqueue(ticket.job_id)


def queue_reachable() -> bool:
    """Whether Redis answers now."""
    try:
        return bool(queues.redis.ping())
    except RedisError:
        return False


def wait_for_queue(seconds: float = 30.0) -> None:
    """Wait, when processes start together, until Redis answers. Raises QueueUnreachable after so many seconds."""
    end = time.monotonic() + seconds
    while not queue_reachable():
        if time.monotonic() > end:
            require_queue()
        time.sleep(0.1)


def require_queue() -> None:
    """Raise QueueUnreachable, before anything is written, when work could not be queued."""
    if not queue_reachable():
        raise QueueUnreachable(message("operations.queue_unreachable"))


def ticket_of(operation: Operation, at_once: int) -> Ticket:
    """The ticket of an operation's present attempt."""
    return Ticket(operation.id, operation.attempt, operation.kind, operation.node_id, operation.awaited, at_once)
