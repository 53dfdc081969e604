"""Removing a node."""

from sqlalchemy import delete, func, select

from ravada_web.errors import Conflict, NotFound
from ravada_web.messages import message
from ravada_web.models import (
    Base,
    Clone,
    Fence,
    Node,
    Observed,
    Remains,
    Replica,
    User,
)
from ravada_web.services.audit import events
from ravada_web.services.clones import remains
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import hold_lock, transaction


def remove(actor: User, node: Node) -> None:
    """Delete a node and close its link. Raises Conflict while it has clones or copies of bases, NotFound
    where it is gone."""
    rights.require(actor, "nodes.change")
    node_id = node.id
    with transaction() as session:
        # Nothing is placed on it meanwhile, and no other row refers to it from now on.
        hold_lock(session, "placement")
        if session.get(Node, node_id, with_for_update=True) is None:
            raise NotFound(message("nodes.no_such"))
        count = session.scalar(select(func.count()).select_from(Clone).where(Clone.node_id == node.id))
        if count:
            away = node.observed == Observed.DOWN and not node.is_master
            if away:
                raise Conflict(message("nodes.has_clones_away", node=node.name, count=count))
            raise Conflict(message("nodes.has_clones", node=node.name, count=count))
        if remains.arriving_on([node_id]):
            raise Conflict(message("nodes.has_arriving", node=node.name))
        if node.is_master and session.scalar(select(Base.id).limit(1)):
            raise Conflict(message("nodes.master_has_bases"))
        if session.scalar(select(func.count()).select_from(Replica).where(Replica.node_id == node.id)):
            if node.observed != Observed.DOWN:
                raise Conflict(message("nodes.has_replicas", node=node.name))
            for replica in session.scalars(select(Replica).where(Replica.node_id == node.id)):
                session.delete(replica)
        session.execute(delete(Fence).where(Fence.node_id == node.id))
        session.execute(delete(Remains).where(Remains.node_id == node.id))
        events.record(session, actor, "remove", node, f"{node.address}:{node.port}")
        session.delete(node)
