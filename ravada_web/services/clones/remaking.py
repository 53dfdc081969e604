"""Volatile clones of a node that died: which they are, and the operation that makes them again on other nodes.

One that has not found room yet stays where it was, unreachable: it is back as it was if its node comes back first.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from ravada_web.clock import is_recent
from ravada_web.config import settings
from ravada_web.messages import message
from ravada_web.models import (
    OVER,
    USING_MEMORY,
    Away,
    Base,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    OperationState,
)
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.requests import request
from ravada_web.services.operations.subjects import CREATED_CLONES, LOST_CLONES, RESTARTED_CLONES

# After one that failed, the next one is asked for only so long after.
PAUSE = timedelta(seconds=60)


def lost_on(node_id: int) -> tuple[ColumnElement[bool], ...]:
    """Of clones, with their bases and nodes joined, and their operations if they have one: those of this node that are
    to be made again. What is being shut down or deleted is not."""
    dead = or_(Node.seen == Observed.DOWN, Clone.lost)
    unmade = and_(Clone.state == CloneState.FAILED, Operation.kind.in_(kinds_on(CREATED_CLONES)))
    restarts = and_(Clone.state == CloneState.STOPPING, Operation.kind.in_(kinds_on(RESTARTED_CLONES)))
    coming = (CloneState.UNREACHABLE, CloneState.REQUESTED, CloneState.CREATING, CloneState.STARTING)
    state = or_(Clone.state.in_(coming), unmade, restarts)
    return Clone.node_id == node_id, dead, and_(Clone.volatile, Base.remakes), state


def _tell(session: Session, node: Node) -> None:
    """Tell those that are lost, and say only that their node is away, that they are being made again."""
    away = [message(f"clones.away_{manner}", node=node.name) for manner in Away if manner]
    lost = (Clone.node_id == node.id, Clone.state == CloneState.UNREACHABLE, Clone.reason.in_(away))
    remade = (Clone.volatile, Clone.base_id.in_(select(Base.id).where(Base.remakes)))
    news = message("clones.being_made_again", node=node.name)
    session.execute(update(Clone).where(*lost, *remade).values(reason=news))


def request_where_lost(session: Session, node: Node) -> Operation | None:
    """Ask for the clones that a dead node has lost to be made again, and tell them; None where there are none, or that
    is under way, was cancelled since it died, or has failed just now. A node that refuses is alive, and may be back
    soon with its guests: it is given a while."""
    session.flush()
    if node.away == Away.REFUSES and is_recent(node.observed_at, timedelta(seconds=settings().remake_grace)):
        return None
    query = select(Clone.id).join(Clone.base).join(Clone.node).outerjoin(Operation, Operation.id == Clone.operation_id)
    if session.scalar(query.where(*lost_on(node.id)).limit(1)) is None:
        return None
    former = select(Operation).where(Operation.node_id == node.id, Operation.kind.in_(kinds_on(LOST_CLONES)))
    last = session.scalar(former.order_by(Operation.id.desc()).limit(1))
    if last is not None and not _may_follow(last, node):
        if last.state not in OVER:
            _tell(session, node)
        return None
    _tell(session, node)
    return _request(session, node)


def request_for_lost(session: Session, node: Node) -> None:
    """Ask for the clones to be made again that were lost with the node's former host, unless that is under way."""
    of_node = select(Operation.id).where(Operation.node_id == node.id, Operation.kind.in_(kinds_on(LOST_CLONES)))
    under_way = session.scalar(of_node.where(Operation.state.not_in(OVER)).limit(1))
    lost = session.scalar(select(Clone.id).where(Clone.node_id == node.id, Clone.lost).limit(1))
    if lost is not None and under_way is None:
        _request(session, node)


def _request(session: Session, node: Node) -> Operation:
    title = message("clones.title_remake", node=node.name)
    return request(session, "clones_remake", title, actor=None, node=node)


def start_fallen(session: Session, clone_ids: Sequence[int]) -> None:
    """Of these clones, which fell with their host and are off now that it is back, start those that would have been
    made again elsewhere: the host was quicker. Nobody has shut them down, so they are not thrown away. So are
    persistent ones started, whose base says so."""
    again = or_(and_(Clone.volatile, Base.remakes), and_(~Clone.volatile, Base.restarts))
    fell = (Clone.state == CloneState.STOPPED, Clone.state_before.in_(USING_MEMORY), again)
    ids = session.scalars(select(Clone.id).join(Clone.base).where(Clone.id.in_(clone_ids), *fell)).all()
    if ids:
        clone_actions.start_placed(session, None, ids, awaited=False)


def _may_follow(last: Operation, node: Node) -> bool:
    """Whether another one may be asked for after this one."""
    if last.state not in OVER:
        return False
    if last.state == OperationState.CANCELLED:
        return node.observed_at is not None and last.created_at < node.observed_at
    return last.state == OperationState.DONE or not is_recent(last.finished_at, PAUSE)
