"""Request operations, retry and cancel them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import Conflict, NotAllowed, NotFound
from ravada_web.messages import NOTHING, Message, as_message, message, sentences
from ravada_web.models import (
    OVER,
    Node,
    Operation,
    OperationState,
    User,
    now,
)
from ravada_web.services.audit import events
from ravada_web.services.operations import outbox
from ravada_web.services.operations.kinds import KINDS, held_by, queue_of
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.transaction import transaction

# A node starts one wave of what was asked for in bulk at a time.
WAVES_AT_ONCE = 1
# Of what people wait for, fewer than there are workers (jobs.parent): each may wait some seconds for a node that hangs.
AWAITED_AT_ONCE = 2


def request(
    session: Session,
    kind: str,
    title: Message | str,
    *,
    actor: User | None,
    node: Node | None = None,
    base_id: int | None = None,
    params: dict[str, Any] | None = None,
    awaited: bool = False,
    items: int = 1,
) -> Operation:
    """Write an operation's row in the present transaction; its job is queued when that commits.

    `awaited`: a person waits for it, so it goes before what was asked for in bulk. `items`: how many things it is
    about.
    """
    operation = Operation(
        kind=kind,
        title=as_message(title),
        user_id=actor.id if actor else None,
        node_id=node.id if node else None,
        base_id=base_id,
        params=params or {},
        awaited=awaited or KINDS[kind].queue == queue_of(kind, awaited=True),
        items=items,
    )
    session.add(operation)
    outbox.post(session, operation, at_once(operation, node))
    return operation


def at_once(operation: Operation, node: Node | None) -> int:
    """How many jobs like the operation's a node takes at a time."""
    match held_by(operation.kind, operation.awaited):
        case "build" if node is not None:
            return node.builds_at_once
        case "start":
            return WAVES_AT_ONCE
        case "now":
            return AWAITED_AT_ONCE
    return settings().copies_per_node


def ticket(operation: Operation) -> outbox.Ticket:
    """What queueing (or forgetting) the operation's present attempt needs."""
    return outbox.ticket_of(operation, at_once(operation, operation.node))


def _to_control(session: Session, actor: User, operation_ids: Sequence[int]) -> Sequence[Operation]:
    """The operations to act on. Raises NotFound for one the actor may not know of, NotAllowed where it is about more
    than the actor's scope.
    """
    ids = set(operation_ids)
    known = select(Operation.id).where(Operation.id.in_(ids), scopes.operations(actor))
    if set(session.scalars(known)) != ids:
        raise NotFound(message("operations.not_found"))
    controlled = select(Operation).where(Operation.id.in_(ids), scopes.operations_to_control(actor))
    rows = session.scalars(controlled.order_by(Operation.id)).all()
    if len(rows) != len(ids):
        raise NotAllowed(message("operations.beyond_scope"))
    return rows


@dataclass(frozen=True)
class Retried:
    """How many operations were queued again, and why not of each that was not."""

    count: int
    left: Sequence[Message]


def retry(actor: User, operation_ids: Sequence[int]) -> Retried:
    """Queue failed or cancelled operations again, as a new attempt; one that has not failed, or whose objects have
    changed since, is left.

    Raises Conflict when none of them can be retried; NotFound and NotAllowed.
    """
    rights.require(actor, "operations.control")
    outbox.require_queue()
    with transaction() as session:
        rows = _to_control(session, actor, operation_ids)
        left = []
        for row in rows:
            try:
                _take_up(session, row)
            except Conflict as error:
                left.append(error.message)
            else:
                events.record(session, actor, "retry", row, row.title)
        if len(left) == len(rows):
            raise Conflict(sentences(*left))
        return Retried(len(rows) - len(left), left)


def _take_up(session: Session, row: Operation) -> None:
    if row.state not in (OperationState.FAILED, OperationState.CANCELLED):
        raise Conflict(message("operations.nothing_to_retry", title=row.title))
    KINDS[row.kind].subject.resume(session, row)
    row.deaths = 0
    next_attempt(session, row)


def next_attempt(session: Session, row: Operation) -> None:
    """Give the operation to a new attempt; from now on the former one is superseded."""
    row.attempt += 1
    row.state = OperationState.WAITING
    row.cancel_asked = False
    row.error, row.message, row.progress, row.worker, row.finished_at = NOTHING, NOTHING, 0, "", None
    row.watched_from, row.asked_at, row.watched_until = None, None, None
    outbox.post(session, row, at_once(row, row.node))


def cancel(actor: User, operation_ids: Sequence[int]) -> int:
    """Stop operations: waiting ones at once, others at their next safe step or look; returns how many."""
    rights.require(actor, "operations.control")
    with transaction() as session:
        rows = _to_control(session, actor, operation_ids)
        open_rows = [row for row in rows if not row.over]
        if not open_rows:
            raise Conflict(message("operations.nothing_to_cancel"))
        for row in open_rows:
            _stop(session, row, actor)
        return len(open_rows)


def stop_on(session: Session, actor: User, node: Node, spared: Collection[str]) -> int:
    """Stop, in the present transaction, all operations of a node but those of the spared kinds; returns how many."""
    open_now = select(Operation).where(
        Operation.node_id == node.id, Operation.state.not_in(OVER), Operation.kind.not_in(spared)
    )
    rows = session.scalars(open_now.order_by(Operation.id).with_for_update(key_share=True)).all()
    for row in rows:
        _stop(session, row, actor)
    return len(rows)


def _stop(session: Session, row: Operation, actor: User) -> None:
    row.cancel_asked = True
    if row.state == OperationState.WAITING:
        row.state, row.error = OperationState.CANCELLED, message("operations.cancelled_by", name=actor.name)
        row.finished_at = now()
        KINDS[row.kind].subject.release(session, row, row.error)
    events.record(session, actor, "cancel", row, row.title)
