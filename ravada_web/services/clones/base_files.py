"""Whether what clones stand on is whole: their base's copy on their node, as it is known and as it is seen now."""

from collections.abc import Collection, Sequence
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Clone, CloneState, Node, Replica, ReplicaState
from ravada_web.remote.errors import RemoteError
from ravada_web.services.bases import replica_files
from ravada_web.services.clones.batch import set_state
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle


def require_whole(handle: Handle, node: Node, version_id: int) -> None:
    """Look at a version's files before clones are made of them; what is amiss is written down, and its mending begun.

    Raises Conflict with what is amiss, and RemoteError.
    """
    _look(handle, node, {version_id})
    if why := unusable(node.id, {version_id}).get(version_id):
        raise Conflict(why)


def _look(handle: Handle, node: Node, version_ids: Collection[int]) -> None:
    expected = replica_files.expected_on([node.id], list(version_ids)).get(node.id, [])
    where = endpoints.target(node)
    db.session.rollback()
    seen = replica_files.look(where, replica_files.to_look_at(expected))
    if findings := replica_files.compare(expected, seen):
        with handle.writing() as session:
            replica_files.note(session, findings)


def unusable(node_id: int, version_ids: Collection[int]) -> dict[int, Message]:
    """Those of these versions that clones of the node cannot stand on now, with the reason."""
    held = select(Replica).where(Replica.node_id == node_id, Replica.version_id.in_(version_ids))
    rows = db.session.scalars(held.options(joinedload(Replica.node))).all()
    return {
        row.version_id: message("clones.base_not_whole", node=row.node.name, why=row.reason)
        for row in rows
        if row.state != ReplicaState.READY
    }


def set_aside(handle: Handle, batch: Sequence[Clone]) -> tuple[list[Clone], list[Message]]:
    """Of clones that are to start, those that can; the others stay off, and why is said of each version."""
    if not batch:
        return [], []
    reasons = unusable(batch[0].node_id, {clone.version_id for clone in batch})
    for version_id, why in reasons.items():
        ids = [clone.id for clone in batch if clone.version_id == version_id]
        set_state(handle, ids, CloneState.STOPPED, why)
    return [clone for clone in batch if clone.version_id not in reasons], list(reasons.values())


def after_failed_starts(handle: Handle) -> list[Message]:
    """Look whether starts failed for want of a base's file; their clones say so then. Returns the reasons."""
    query = select(Clone).where(Clone.operation_id == handle.operation_id, Clone.state == CloneState.STOPPED)
    failed = db.session.scalars(query.options(joinedload(Clone.node))).all()
    if not failed:
        return []
    with suppress(RemoteError):  # why the start failed is said already
        _look(handle, failed[0].node, {clone.version_id for clone in failed})
    return set_aside(handle, failed)[1]
