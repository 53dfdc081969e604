"""A clone that was to be made or started in bulk, and for which a person waits now: it is done next."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from ravada_web.messages import message
from ravada_web.models import Clone, CloneState, Operation, OperationState, User
from ravada_web.services.audit import events
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.requests import assign
from ravada_web.services.operations.requests import request

MAKING = (CloneState.REQUESTED, CloneState.CREATING)
# Where a creation, or a restart, notes which of its clones somebody waits for by now.
_WAITED_FOR = "waited_for"


def hasten(session: Session, actor: User, clone: Clone) -> None:
    """Take the clone out of what was asked for in bulk, which skips it from then on, and do it now. One that is not on
    its way, or for which somebody waits already, is left."""
    if clone.state not in (CloneState.STARTING, CloneState.STOPPING, *MAKING):
        return
    bulk = session.get(Operation, clone.operation_id or 0, with_for_update=True, populate_existing=True)
    session.refresh(clone)
    if bulk is None or bulk.id != clone.operation_id or bulk.awaited or bulk.over:
        return
    if clone.state == CloneState.STARTING:
        events.record(session, actor, "start", clone)
        clone_actions.start_placed(session, actor, [clone.id], awaited=True)
    elif clone.state in MAKING and bulk.state == OperationState.WAITING:
        _create_now(session, actor, clone, bulk)
    else:
        bulk.params = bulk.params | {_WAITED_FOR: sorted({*waited_for(bulk), clone.id})}


def waited_for(operation: Operation) -> Collection[int]:
    """The ids of the clones of a creation or a restart for which somebody waits."""
    return tuple(operation.params.get(_WAITED_FOR, ()))


def _create_now(session: Session, actor: User, clone: Clone, bulk: Operation) -> None:
    title = message("clones.title_create", count=1, base=clone.base.name, node=clone.node.name)
    operation = request(
        session, "clones_create", title, actor=actor, node=clone.node, base_id=bulk.base_id, awaited=True
    )
    assign(session, operation.id, [clone.id])
