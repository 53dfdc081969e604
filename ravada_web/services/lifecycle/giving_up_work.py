"""Ending what was given up with a node: a batch at a time, so that what was interrupted goes on where it stood."""

from sqlalchemy import ColumnElement, and_, delete, false, or_, select
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.messages import message
from ravada_web.models import AllowedNode, Base, BaseVersion, Cause, Clone, Node, Replica
from ravada_web.services.audit import events
from ravada_web.services.clones import remains
from ravada_web.services.lifecycle import giving_up, originals
from ravada_web.services.lifecycle.giving_up import GIVE_UP
from ravada_web.services.lifecycle.held import held
from ravada_web.services.operations.execution import Handle


def give_up(handle: Handle) -> None:
    """End the desktops of the kinds that were given up, each with a line in the audit log and a word to its owner; then
    the node's copies of bases that nobody stands on."""
    all_volatile = Clone.volatile if handle.params["volatile"] == GIVE_UP else and_(Clone.volatile, ~Base.remakes)
    all_persistent = ~Clone.volatile if handle.params["persistent"] == GIVE_UP else false()
    while _end_some(handle, or_(all_volatile, all_persistent)):
        handle.check()
    with handle.writing() as session:
        node = _still_given_up(session, handle)
        originals.move(session, node.id, message("nodes.given_up_with", node=node.name))
        _drop_copies(session, handle.node_id)


def _end_some(handle: Handle, which: ColumnElement[bool]) -> int:
    """End a batch of these desktops of the node; returns how many."""
    with handle.writing(lock="placement") as session:
        _still_given_up(session, handle)
        query = select(Clone).join(Clone.base).where(Clone.node_id == handle.node_id, which)
        batch = session.scalars(query.order_by(Clone.id).limit(settings().clone_batch).with_for_update(of=Clone)).all()
        for clone in batch:
            events.record(session, None, "given_up", clone, message("nodes.given_up_with", node=clone.node.name))
        remains.leave(session, batch, Cause.GIVEN_UP)
        session.execute(delete(Clone).where(Clone.id.in_([clone.id for clone in batch])))
        return len(batch)


def _still_given_up(session: Session, handle: Handle) -> Node:
    """The node, held. What is tried again after it was taken back ends nothing there: raises Conflict."""
    assert handle.node_id is not None, "an operation of a node"
    node = held(session, handle.node_id)
    giving_up.require_given_up(node)
    return node


def _drop_copies(session: Session, node_id: int | None) -> None:
    """Forget the node's copies of bases and its ticks; those under desktops that wait stay, and only originals."""
    session.execute(delete(AllowedNode).where(AllowedNode.node_id == node_id))
    stood_on = select(Clone.version_id).where(Clone.node_id == node_id)
    original = select(BaseVersion.id).join(Base).where(Base.node_id == node_id)
    gone = (Replica.version_id.not_in(stood_on), Replica.version_id.not_in(original))
    session.execute(delete(Replica).where(Replica.node_id == node_id, *gone))
