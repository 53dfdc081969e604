"""The work after a host took a node's place: its former desktops are settled a batch at a time, then the new host is
checked and tested. Safe to do again from its start: what is settled is not there any more."""

from sqlalchemy import and_, delete, or_, select, update

from ravada_web.config import settings
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Base, Cause, Clone, Node, Replica, ReplicaState, now
from ravada_web.services.audit import events
from ravada_web.services.bases import replicas
from ravada_web.services.clones import remains, remaking
from ravada_web.services.joining import inspection, verification
from ravada_web.services.lifecycle.giving_up import GIVE_UP
from ravada_web.services.operations.execution import Handle


def replace(handle: Handle) -> None:
    """End the desktops that are lost, each with a line in the audit log and a word to its owner; have the volatile ones
    made again that are to be; then check the host, and test it where every check passes. Raises what these raise."""
    while _end_some(handle):
        handle.check()
    with handle.writing("placement") as session:
        node = session.get_one(Node, handle.node_id)
        if node.host_key != handle.params["host_key"]:
            raise Conflict(message("joining.newcomer_gone", node=node.name))
        remaking.request_for_lost(session, node)
        # What was stopped just now, on the host of before, is to be brought all the same.
        stopped = (Replica.node_id == node.id, Replica.state == ReplicaState.FAILED, Replica.retry_at.is_(None))
        session.execute(update(Replica).where(*stopped).values(retry_at=now()))
    inspection.inspect(handle)
    node = db.session.get_one(Node, handle.node_id)
    if handle.result["failed"] or not node.allows_root:
        return  # a person fixes it, and has it tested
    verification.verify(handle)
    with handle.writing() as session:
        replicas.settle(session, node_id=handle.node_id)


def _end_some(handle: Handle) -> int:
    """End a batch of what is lost, and is not made again; returns how many."""
    volatile = Clone.volatile if handle.params["volatile"] == GIVE_UP else and_(Clone.volatile, ~Base.remakes)
    with handle.writing(lock="placement") as session:
        lost = (Clone.node_id == handle.node_id, Clone.lost, or_(~Clone.volatile, volatile))
        query = select(Clone).join(Clone.base).where(*lost).order_by(Clone.id).limit(settings().clone_batch)
        batch = session.scalars(query.with_for_update(of=Clone)).all()
        for clone in batch:
            events.record(session, None, "given_up", clone, message("nodes.replaced_with", node=clone.node.name))
        remains.leave(session, batch, Cause.LOST)
        session.execute(delete(Clone).where(Clone.id.in_([clone.id for clone in batch])))
        return len(batch)
