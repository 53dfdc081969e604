"""Replicas: which nodes are to have a base's disks, and the operations that bring and remove them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager

from ravada_web.extensions import db
from ravada_web.messages import NOTHING, message
from ravada_web.models import Base, BaseVersion, Clone, Node, Replica, ReplicaState, User
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import scopes


def ensure(session: Session, actor: User | None, base: Base, nodes: Iterable[Node]) -> None:
    """Request a copy of the base's current version on each of these nodes that lacks it; failed copies are retried."""
    version = base.current
    if version is None:
        return  # once it is prepared, the nodes ticked by then are given theirs
    query = select(Replica).where(Replica.version_id == version.id)
    held = {replica.node_id: replica for replica in session.scalars(query)}
    for node in nodes:
        replica = held.get(node.id)
        if replica is None:
            replica = Replica(version=version, node=node, directory="")
            session.add(replica)
        elif replica.state not in (ReplicaState.FAILED, ReplicaState.REMOVING):
            continue
        replica.state, replica.progress, replica.reason = ReplicaState.WANTED, 0, NOTHING
        session.flush()
        title = message("bases.copy_to", base=base.name, node=node.name)
        params = {"replica_id": replica.id}
        request(session, "replica_copy", title, actor=actor, node=node, base_id=base.id, params=params)


def drop_unused(session: Session, actor: User, base: Base, nodes: Iterable[Node]) -> None:
    """Have the replicas on these nodes removed, save where clones stand on them and on the node that made them."""
    for node in nodes:
        if node.id == base.node_id:
            continue  # the others are given theirs from this one
        query = select(Replica).join(Replica.version).where(Replica.node_id == node.id)
        for replica in session.scalars(query.where(Replica.version.has(base_id=base.id))):
            if stands_on(session, replica) == 0:
                replica.state = ReplicaState.REMOVING
                title = message("bases.remove_from", base=base.name, node=node.name)
                params = {"replica_id": replica.id}
                request(session, "replica_remove", title, actor=actor, node=node, base_id=base.id, params=params)


def stands_on(session: Session, replica: Replica) -> int:
    """How many clones have this replica under them."""
    on_it = (Clone.version_id == replica.version_id) & (Clone.node_id == replica.node_id)
    return session.scalar(select(func.count()).select_from(Clone).where(on_it)) or 0


@dataclass(frozen=True)
class ReplicaRow:
    """A replica on a node, and how many clones stand on it."""

    replica: Replica
    clones: int


def on_node(viewer: User, node: Node) -> list[ReplicaRow]:
    """The node's replicas of the bases that the viewer may know of, by the base's name."""
    standing = select(func.count()).where(Clone.version_id == Replica.version_id, Clone.node_id == Replica.node_id)
    query = (
        select(Replica, standing.correlate(Replica).scalar_subquery())
        .join(Replica.version)
        .join(BaseVersion.base)
        .where(Replica.node_id == node.id, scopes.bases(viewer))
        .order_by(func.lower(Base.name), BaseVersion.number)
        .options(contains_eager(Replica.version).contains_eager(BaseVersion.base))
    )
    return [ReplicaRow(replica, count) for replica, count in db.session.execute(query)]
