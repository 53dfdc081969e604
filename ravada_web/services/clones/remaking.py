"""Volatile clones of a node that died: which they are, and the operation that makes them again on other nodes.

One that has not found room yet stays where it was, unreachable: it is back as it was if its node comes back first.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from ravada_web.clock import is_recent
from ravada_web.messages import message
from ravada_web.models import (
    OVER,
    Base,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    OperationState,
)
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.requests import request
from ravada_web.services.operations.subjects import CREATED_CLONES, LOST_CLONES, RESTARTED_CLONES

# After one that failed, the next one is asked for only so long after.
PAUSE = timedelta(seconds=60)


def lost_on(node_id: int) -> tuple[ColumnElement[bool], ...]:
    """Of clones, with their bases and nodes joined, and their operations if they have one: those of this node that are
    to be made again. What is being shut down or deleted is not."""
    dead = Node.seen == Observed.DOWN
    unmade = and_(Clone.state == CloneState.FAILED, Operation.kind.in_(kinds_on(CREATED_CLONES)))
    restarts = and_(Clone.state == CloneState.STOPPING, Operation.kind.in_(kinds_on(RESTARTED_CLONES)))
    coming = (CloneState.UNREACHABLE, CloneState.REQUESTED, CloneState.CREATING, CloneState.STARTING)
    state = or_(Clone.state.in_(coming), unmade, restarts)
    return Clone.node_id == node_id, dead, Clone.volatile, Base.remakes, state


def tell(session: Session, node: Node) -> None:
    """Tell the clones of a node that was just seen dead, which are to be made again, that they are."""
    remade = select(Base.id).where(Base.remakes)
    lost = (Clone.node_id == node.id, Clone.volatile, Clone.state == CloneState.UNREACHABLE, Clone.base_id.in_(remade))
    news = Clone.reason == message("clones.node_down", node=node.name)
    session.execute(update(Clone).where(*lost, news).values(reason=message("clones.being_made_again", node=node.name)))


def request_where_lost(session: Session, node: Node) -> Operation | None:
    """Ask for the clones that a dead node has lost to be made again; None where there are none, or that is under way,
    was cancelled since it died, or has failed just now."""
    session.flush()
    query = select(Clone.id).join(Clone.base).join(Clone.node).outerjoin(Operation, Operation.id == Clone.operation_id)
    if session.scalar(query.where(*lost_on(node.id)).limit(1)) is None:
        return None
    former = select(Operation).where(Operation.node_id == node.id, Operation.kind.in_(kinds_on(LOST_CLONES)))
    last = session.scalar(former.order_by(Operation.id.desc()).limit(1))
    if last is not None and not _may_follow(last, node):
        return None
    title = message("clones.title_remake", node=node.name)
    return request(session, "clones_remake", title, actor=None, node=node)


def _may_follow(last: Operation, node: Node) -> bool:
    """Whether another one may be asked for after this one."""
    if last.state not in OVER:
        return False
    if last.state == OperationState.CANCELLED:
        return node.observed_at is not None and last.created_at < node.observed_at
    return last.state == OperationState.DONE or not is_recent(last.finished_at, PAUSE)
