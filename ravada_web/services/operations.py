"""Operations: ask for work, list it, retry and cancel it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from ravada_web.config import Settings
from ravada_web.errors import Conflict, NotAllowed, NotFound
from ravada_web.extensions import db
from ravada_web.models import (
    Base,
    BaseState,
    Clone,
    CloneState,
    Node,
    Operation,
    OperationState,
    Replica,
    User,
)
from ravada_web.services import access, choices, events, outbox, scopes
from ravada_web.services.aftermath import settle
from ravada_web.services.kinds import KINDS
from ravada_web.services.pages import Page, paginate
from ravada_web.services.transaction import transaction


@dataclass(frozen=True)
class Filters:
    """What to list; empty fields do not filter."""

    state: str = ""
    kind: str = ""
    node_id: int | None = None
    base_id: int | None = None
    user: str = ""
    search: str = ""


def settings() -> Settings:
    """The installation's settings."""
    found: Settings = current_app.extensions["settings"]
    return found


def ask(
    session: Session,
    kind: str,
    title: str,
    *,
    actor: User | None,
    node: Node | None = None,
    base_id: int | None = None,
    params: dict[str, Any] | None = None,
) -> Operation:
    """Write an operation's row in the present transaction; its job is queued when that commits."""
    operation = Operation(
        kind=kind,
        title=title,
        user_id=actor.id if actor else None,
        node_id=node.id if node else None,
        base_id=base_id,
        params=params or {},
    )
    session.add(operation)
    outbox.post(session, operation, at_once(operation.kind, node))
    return operation


def at_once(kind: str, node: Node | None) -> int:
    """How many jobs of this kind a node takes at a time."""
    if KINDS[kind].limit == "build" and node is not None:
        return node.builds_at_once
    return settings().copies_per_node


def ticket(operation: Operation) -> outbox.Ticket:
    """What queueing (or forgetting) the operation's present attempt needs."""
    return outbox.ticket_of(operation, at_once(operation.kind, operation.node))


def listing(viewer: User, filters: Filters, page: int = 1) -> Page[Operation]:
    """The operations that the viewer may know of, newest first. Raises NotAllowed."""
    access.require(viewer, "operations.see")
    shown = (joinedload(Operation.user), joinedload(Operation.node))
    query = select(Operation).options(*shown).where(scopes.operations(viewer))
    if filters.state:
        query = query.where(Operation.state == filters.state)
    if filters.kind:
        query = query.where(Operation.kind == filters.kind)
    for column, wanted in (
        (Operation.node_id, filters.node_id),
        (Operation.base_id, filters.base_id),
    ):
        if wanted:
            query = query.where(column == wanted)
    if filters.user:
        query = query.where(Operation.user.has(choices.named_like(filters.user)))
    if filters.search:
        query = query.where(Operation.title.icontains(filters.search, autoescape=True))
    return paginate(query.order_by(Operation.id.desc()), page)


def get(viewer: User, operation_id: int) -> Operation:
    """One operation: of anybody for who may see all, of their part for who is given one, else only one's own.

    Raises NotFound.
    """
    operation = db.session.scalar(select(Operation).where(Operation.id == operation_id, scopes.operations(viewer)))
    if operation is None:
        raise NotFound(_("There is no such operation."))
    return operation


def summary(viewer: User) -> dict[str, int]:
    """How many of the operations that the viewer may know of stand in each state."""
    query = select(Operation.state, func.count()).where(scopes.operations(viewer)).group_by(Operation.state)
    return dict(db.session.execute(query).all())


def _to_control(session: Session, actor: User, operation_ids: Sequence[int]) -> Sequence[Operation]:
    """The operations to act on. Raises NotFound for one the actor may not know of, NotAllowed where it is about
    more than the actor's part."""
    wanted = set(operation_ids)
    known = select(Operation.id).where(Operation.id.in_(wanted), scopes.operations(actor))
    if set(session.scalars(known)) != wanted:
        raise NotFound(_("There is no such operation."))
    theirs = select(Operation).where(Operation.id.in_(wanted), scopes.operations_to_control(actor))
    rows = session.scalars(theirs.order_by(Operation.id)).all()
    if len(rows) != len(wanted):
        raise NotAllowed(_("This is about desktops, bases or nodes too that you are not given."))
    return rows


def retry(actor: User, operation_ids: Sequence[int]) -> int:
    """Queue failed or cancelled operations again, as a new attempt; answers how many.

    Raises Conflict when one of them is not over, or what it worked on has moved on; NotFound and NotAllowed.
    """
    access.require(actor, "operations.control")
    outbox.require_queue()
    with transaction() as session:
        rows = _to_control(session, actor, operation_ids)
        for row in rows:
            if row.state not in (OperationState.FAILED, OperationState.CANCELLED):
                raise Conflict(_("“%(title)s” has not failed, so there is nothing to retry.", title=row.title))
            _resume(session, row)
            next_attempt(session, row)
            events.record(session, actor, "retry", row, row.title)
        return len(rows)


def next_attempt(session: Session, row: Operation) -> None:
    """Give the operation to a new attempt; from now on the former one finds that it is not its any more."""
    row.attempt += 1
    row.state = OperationState.WAITING
    row.cancel_asked = False
    row.error, row.message, row.progress, row.worker, row.finished_at = "", "", 0, "", None
    outbox.post(session, row, at_once(row.kind, row.node))


_RESUMED = {
    "clones_create": CloneState.CREATING,
    "clones_delete": CloneState.DELETING,
    "clones_start": CloneState.STARTING,
    "clones_stop": CloneState.STOPPING,
    "clones_restart": CloneState.STOPPING,
}


def _resume(session: Session, row: Operation) -> None:
    """Put what a failed operation worked on back into its working state."""
    if state := _RESUMED.get(row.kind):
        clones = session.scalars(select(Clone).where(Clone.operation_id == row.id)).all()
        if not clones:
            raise Conflict(_("The clones of “%(title)s” have moved on; ask for it anew there.", title=row.title))
        for clone in clones:
            if row.kind == "clones_restart":
                _resume_restart(clone)
            elif row.kind != "clones_create" or clone.state == CloneState.FAILED:
                clone.state, clone.reason = state, ""
    if (replica_id := row.params.get("replica_id")) and session.get(Replica, replica_id) is None:
        raise Conflict(_("The replica of “%(title)s” is gone; tick the node again.", title=row.title))
    if row.kind == "base_prepare":
        session.get_one(Base, row.base_id).state = BaseState.PREPARING


def _resume_restart(clone: Clone) -> None:
    """Only what has not come back is restarted: whoever works in one that has is not interrupted again."""
    if clone.state == CloneState.RUNNING and clone.reason:
        clone.state, clone.reason = CloneState.STOPPING, ""
    elif clone.state == CloneState.STOPPED:
        clone.state, clone.reason = CloneState.STARTING, ""


def cancel(actor: User, operation_ids: Sequence[int]) -> int:
    """Stop operations: waiting ones at once, running ones at their next safe step; answers how many."""
    access.require(actor, "operations.control")
    with transaction() as session:
        rows = _to_control(session, actor, operation_ids)
        open_rows = [row for row in rows if not row.over]
        if not open_rows:
            raise Conflict(_("Nothing to cancel: what you chose is over already."))
        for row in open_rows:
            _stop(session, row, actor)
        return len(open_rows)


def _stop(session: Session, row: Operation, actor: User) -> None:
    row.cancel_asked = True
    if row.state == OperationState.WAITING:
        reason = _("Cancelled by %(name)s.", name=actor.name)
        row.state, row.error = OperationState.CANCELLED, reason
        settle(session, row, reason)
    events.record(session, actor, "cancel", row, row.title)
