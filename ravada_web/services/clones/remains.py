"""What clones leave standing on their nodes: written down when a clone ends, or moves, while its node is away; ended
and removed once the node answers (`return_work`)."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import (
    DOOMED,
    Cause,
    Clone,
    Node,
    Operation,
    OperationState,
    Remains,
    Replica,
    now,
)
from ravada_web.services.bases import replicas
from ravada_web.services.batches import grouped
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.storage import pools

# The operation that ends and removes them; one at a time on a node.
KIND = "node_return"
# After an attempt that failed the next begins so much later, each time twice that.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)


def leave(session: Session, clones: Collection[Clone], cause: Cause) -> None:
    """Write down what these clones have on their nodes, so that it never lives again there: before their rows go, or
    get another UUID, node and MAC addresses."""
    versions, nodes = {clone.version_id for clone in clones}, {clone.node_id for clone in clones}
    held = select(Replica.version_id, Replica.node_id, Replica.directory)
    rows = session.execute(held.where(Replica.version_id.in_(versions), Replica.node_id.in_(nodes))).all()
    directories = {(version_id, node_id): directory for version_id, node_id, directory in rows}
    session.add_all(
        of_clone(clone, clone.node_id, directories.get((clone.version_id, clone.node_id), ""), cause)
        for clone in clones
    )
    session.flush()


def of_clone(clone: Clone, node_id: int, directory: str, cause: Cause) -> Remains:
    """A row of what a clone has, or is to have, on a node, in a folder there."""
    return Remains(
        node_id=node_id,
        uuid=clone.uuid,
        name=clone.name,
        files=_files(clone, directory),
        macs=[nic.mac for nic in clone.nics],
        version_id=clone.version_id,
        base_name=clone.base.name,
        owner_id=clone.owner_id,
        owner_name=clone.owner.name,
        volatile=clone.volatile,
        cause=cause,
    )


def _files(clone: Clone, directory: str) -> list[str]:
    """Where its own files are; none where its node has no copy of its base any more."""
    return [pools.in_pool(directory, clone.own_file(file)) for file in clone.version.files] if directory else []


def end(session: Session, clones: Collection[Clone], cause: Cause) -> None:
    """End clones whose nodes are away: their rows go at once, and what stands there is written down."""
    leave(session, clones, cause)
    nodes = {clone.node_id for clone in clones}
    session.execute(delete(Clone).where(Clone.id.in_([clone.id for clone in clones])))
    for node_id in sorted(nodes):
        replicas.settle(session, node_id=node_id)


def doomed_on(node_ids: Collection[int]) -> dict[int, list[Remains]]:
    """What must not live again on these nodes, by their ids."""
    query = select(Remains).where(Remains.node_id.in_(node_ids), Remains.cause.in_(DOOMED)).order_by(Remains.id)
    return grouped(db.session.scalars(query), lambda row: row.node_id)


def arriving_on(node_ids: Collection[int]) -> dict[int, set[str]]:
    """The UUIDs of what is being moved to these nodes, by their ids: its domain may be seen there already."""
    query = select(Remains.node_id, Remains.uuid).where(Remains.node_id.in_(node_ids), Remains.cause == Cause.ARRIVING)
    found: dict[int, set[str]] = {}
    for node_id, uuid in db.session.execute(query):
        found.setdefault(node_id, set()).add(uuid or "")
    return found


def note_seen(
    session: Session, node: Node, doomed: Sequence[Remains], domains: Collection[str], *, came_back: bool
) -> None:
    """Judge a node that answers by what was seen there (UUIDs of domains): while one stands there that must not, the
    node is returning; and what is left there is removed, by one operation at a time. What has moved was off before it
    did, and closes no node."""
    node.returning = any(row.uuid in domains for row in doomed if row.cause != Cause.MOVED)
    moment = now()
    if not any(came_back or row.retry_at is None or row.retry_at <= moment for row in doomed) or _is_removed(
        session, node
    ):
        return
    for row in doomed:
        row.attempts += 1
        row.retry_at = moment + min(FIRST_PAUSE * 2 ** min(row.attempts - 1, 10), LONGEST_PAUSE)
    title = message("nodes.title_return", count=len(doomed), node=node.name)
    operation_requests.request(session, "node_return", title, actor=None, node=node, items=len(doomed))


def _is_removed(session: Session, node: Node) -> bool:
    """Whether an operation of this kind is under way on the node."""
    open_states = (OperationState.WAITING, OperationState.RUNNING)
    query = select(Operation.id).where(
        Operation.kind == KIND, Operation.node_id == node.id, Operation.state.in_(open_states)
    )
    return session.scalar(query.limit(1)) is not None


def macs(session: Session) -> set[str]:
    """The MAC addresses of all that is left somewhere: new clones have others."""
    return {mac for row in session.scalars(select(Remains.macs)) for mac in row}
