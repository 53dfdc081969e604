"""Replicas: which nodes are to have a base's disks, and the operations that bring and remove them.

What is wanted stands in rows: a replica is wanted where its base is ticked, where clones stand on it or move to, and
where it was made. `settle` compares that with what is there and has the difference done; it may be called at any time,
and a replica has at most one operation at work on it, so that the order in which jobs come does not matter.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, contains_eager

from ravada_web.clock import has_come
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import (
    AllowedNode,
    Base,
    BaseVersion,
    Cause,
    Clone,
    Node,
    Operation,
    OperationState,
    Remains,
    Replica,
    ReplicaState,
    User,
    now,
)
from ravada_web.services.audit import events
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import REPLICA, OneReplica
from ravada_web.services.permissions import scopes
from ravada_web.services.transaction import hold_rows, transaction

# How often replicas are settled that nobody has asked about.
SETTLE_SECONDS = 10.0

_TICKED = (
    select(AllowedNode.node_id)
    .where(AllowedNode.base_id == BaseVersion.base_id, AllowedNode.node_id == Replica.node_id)
    .correlate(BaseVersion, Replica)
    .exists()
)
# A clone that moves here has a disk on it already, though its row is still at its former node.
_ARRIVES = (
    select(Remains.id)
    .join(Clone, Clone.uuid == Remains.uuid)
    .where(Remains.node_id == Replica.node_id, Remains.cause == Cause.ARRIVING, Clone.version_id == Replica.version_id)
    .correlate(Replica)
    .exists()
)
_STOOD_ON = _ARRIVES | (
    select(Clone.id)
    .where(Clone.version_id == Replica.version_id, Clone.node_id == Replica.node_id)
    .correlate(Replica)
    .exists()
)
# The node where a version was made keeps it as long as the base is there: the others are given theirs from it.
_WANTED: ColumnElement[bool] = _TICKED | (Base.node_id == Replica.node_id) | _STOOD_ON
_UNSETTLED = (Replica.state != ReplicaState.READY) | ~_WANTED


def ensure(session: Session, base: Base, nodes: Iterable[Node]) -> None:
    """Write a row for the base's current version on each of these nodes that has none."""
    version = base.current
    if version is None:
        return  # once it is prepared, the nodes ticked by then are given theirs
    held = set(session.scalars(select(Replica.node_id).where(Replica.version_id == version.id)))
    session.add_all(Replica(version=version, node=node, directory="") for node in nodes if node.id not in held)


def settle(
    session: Session,
    actor: User | None = None,
    *,
    base_id: int | None = None,
    node_id: int | None = None,
    asked: Collection[int] = (),
) -> None:
    """Have done what is wanted now of all replicas, or of one base's or one node's.

    One that failed is tried again when its time has come, and at once on the nodes that somebody `asked` for.
    """
    session.flush()
    # Operations before their rows, as their jobs do: neither waits for the other.
    owners = _unsettled(base_id, node_id).with_only_columns(Replica.operation_id)
    hold_rows(session, Operation, [owner for owner in session.scalars(owners) if owner is not None])
    rows = session.execute(_unsettled(base_id, node_id).with_for_update(of=Replica)).all()
    for replica, wanted, operation in rows:
        _settle_one(session, actor, replica, wanted, operation, replica.node_id in asked)


def _unsettled(base_id: int | None, node_id: int | None) -> Select[Replica, bool, Operation]:
    query = (
        select(Replica, _WANTED.label("wanted"), Operation)
        .join(Replica.version)
        .join(BaseVersion.base)
        .outerjoin(Operation, Operation.id == Replica.operation_id)
        .where(_UNSETTLED)
        .order_by(Replica.id)
        .options(contains_eager(Replica.version).contains_eager(BaseVersion.base))
        .execution_options(populate_existing=True)
    )
    if base_id is not None:
        query = query.where(BaseVersion.base_id == base_id)
    return query if node_id is None else query.where(Replica.node_id == node_id)


def _settle_one(
    session: Session, actor: User | None, replica: Replica, wanted: bool, operation: Operation | None, asked: bool
) -> None:
    kind = "replica_copy" if wanted else "replica_remove"
    if operation is not None and not operation.over:
        if operation.kind == kind:
            # Who asks for it again takes back that it was to be cancelled.
            operation.cancel_asked = operation.cancel_asked and not asked
        elif operation.kind in kinds_on(REPLICA):
            _take_back(operation)
        if not operation.over:
            return  # when it has ended, the replica is settled again
    if replica.state == ReplicaState.FAILED and not asked and not _due(replica, wanted):
        return
    _begin(session, actor, replica, kind, operation)


def _due(replica: Replica, wanted: bool) -> bool:
    """Whether one that failed is tried again by itself: a copy that somebody cancelled is not."""
    if not replica.node.is_reachable:
        return False
    return has_come(replica.retry_at, OneReplica.LONGEST_PAUSE) if replica.retry_at else not wanted


def _take_back(operation: Operation) -> None:
    """Have an operation end that is not wanted any more."""
    operation.cancel_asked = True
    if operation.state == OperationState.WAITING:
        operation.state, operation.error = OperationState.CANCELLED, message("bases.not_wanted")
        operation.finished_at = now()


def _begin(session: Session, actor: User | None, replica: Replica, kind: str, former: Operation | None) -> None:
    """Request what is to be done; what failed before goes on as the next attempt of its operation."""
    again = former is not None and former.kind == kind and former.state == OperationState.FAILED and replica.failures
    if again and former is not None:
        operation_requests.next_attempt(session, former)
    else:
        replica.operation_id = _request(session, actor, replica, kind == "replica_remove").id
    if actor is not None:
        replica.reason = NOTHING
    if kind == "replica_remove":
        replica.state = ReplicaState.REMOVING
    elif replica.state == ReplicaState.REMOVING or (actor is not None and replica.state == ReplicaState.FAILED):
        replica.state, replica.progress = ReplicaState.WANTED, 0


def _request(session: Session, actor: User | None, replica: Replica, removal: bool) -> Operation:
    base, node = replica.version.base, replica.node
    about: dict[str, Any] = {"actor": actor, "node": node, "base_id": base.id, "params": {"replica_id": replica.id}}
    if removal:
        title = message("bases.remove_from", base=base.name, node=node.name)
        return operation_requests.request(session, "replica_remove", title, **about)
    title = message("bases.copy_to", base=base.name, node=node.name)
    if replica.state == ReplicaState.VERIFYING:
        title = message("bases.verify_on", base=base.name, node=node.name)
    return operation_requests.request(session, "replica_copy", title, **about)


def is_wanted(session: Session, replica_id: int) -> bool:
    """Whether the replica is to be on its node; it stays as it is until the transaction's end."""
    query = select(_WANTED).select_from(Replica).join(Replica.version).join(BaseVersion.base)
    session.execute(select(Replica.id).where(Replica.id == replica_id).with_for_update())
    return bool(session.scalar(query.where(Replica.id == replica_id)))


def stands_on(session: Session, replica: Replica) -> bool:
    """Whether clones have this replica under them."""
    return session.scalar(select(Replica.id).where(Replica.id == replica.id, _STOOD_ON)) is not None


def due() -> Sequence[Sequence[int]]:
    """Returns the arguments of the one job that settles, where something is unsettled."""
    unsettled = select(Replica.id).join(Replica.version).join(BaseVersion.base).where(_UNSETTLED).limit(1)
    return [()] if db.session.scalar(unsettled) is not None else []


def settle_all() -> None:
    """Settle all replicas: for jobs."""
    with transaction() as session:
        settle(session)


def doubt(session: Session, replica: Replica, state: ReplicaState, reason: Message) -> None:
    """Take a ready replica out of service: FAILED where a file is known to be damaged or missing, VERIFYING where one
    may be. It is looked at, and brought in order, at once."""
    replica.state, replica.reason, replica.progress = state, reason, 0
    replica.failures, replica.retry_at = 0, now()
    if state == ReplicaState.FAILED:
        events.record(session, None, "damaged", replica.version.base, reason, "failed")
    settle(session, base_id=replica.version.base_id, node_id=replica.node_id, asked={replica.node_id})


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
