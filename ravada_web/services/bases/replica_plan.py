"""What a job is to bring in order of one replica: read at once, and written only as the operation that owns it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import CursorResult, select, update

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Node, Replica, ReplicaState
from ravada_web.remote import images
from ravada_web.remote.images import hash_seconds
from ravada_web.remote.target import Target
from ravada_web.services.bases import replica_files, replicas
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Cancelled, Handle
from ravada_web.services.storage import pools
from ravada_web.services.storage.file_names import template_name


@dataclass(frozen=True)
class File:
    """A version's file and what is known of it: its length in bytes, what a guest sees of it, and its hash; and its
    template's name."""

    name: str
    template: str
    size: int
    virtual_size: int
    sha256: str


@dataclass(frozen=True)
class Plan:
    """All that the work needs, read at once: rows may be gone by the time it is done. `known` are the files that are
    ours, as the database has it: they may be replaced."""

    replica_id: int
    where: Target
    directory: str
    known: frozenset[str]
    files: Sequence[File]

    def path(self, name: str) -> str:
        """A file of the replica."""
        return pools.in_pool(self.directory, name)


def plan_of(handle: Handle) -> Plan | None:
    """What is to be done; None where it is not, or not by this operation, any more. Raises Conflict."""
    replica = db.session.get(Replica, handle.params["replica_id"])
    if replica is None or replica.operation_id != handle.operation_id or replica.state == ReplicaState.READY:
        return None
    if not replicas.is_wanted(db.session(), replica.id):
        return None
    require_reachable(replica.node)
    directory = _directory(replica)
    return Plan(
        replica_id=replica.id,
        where=endpoints.target(replica.node),
        directory=directory,
        known=frozenset(replica_files.known(replica) if replica.directory == directory else ()),
        files=[
            File(file.file_name, template_name(file), file.size, file.virtual_size, file.sha256)
            for file in replica.version.files
        ],
    )


def _directory(replica: Replica) -> str:
    """Where the files are to be: under clones where they were, since these name them by their paths."""
    active = {pool.path for pool in replica.node.pools if pool.active}
    if replica.directory and (replica.directory in active or replicas.stands_on(db.session(), replica)):
        return replica.directory
    return pools.require_pool(replica.node).path


def require_reachable(node: Node) -> None:
    """Raises Conflict, with the reason where it is known, for a node that cannot be reached."""
    if not node.is_reachable and node.why:
        raise Conflict(message("bases.node_unreachable_because", node=node.name, why=node.why))
    if not node.is_reachable:
        raise Conflict(message("bases.node_unreachable", node=node.name))


def check(handle: Handle, replica_id: int) -> None:
    """As `handle.check`; also ends the work when the replica was given to another operation, or is gone."""
    handle.check()
    if db.session.scalar(select(Replica.operation_id).where(Replica.id == replica_id)) != handle.operation_id:
        raise Cancelled


def hash_of(where: Target, path: str, file: File) -> str:
    """The SHA-256 of a file on a node, given time by its size. Raises RemoteError."""
    return images.sha256(endpoints.workspace(), where, path, deadline=hash_seconds(file.size))


def write(handle: Handle, replica_id: int, **values: object) -> bool:
    """Write the replica's values, unless another operation has taken it over."""
    with handle.writing() as session:
        mine = update(Replica).where(Replica.id == replica_id, Replica.operation_id == handle.operation_id)
        done = session.execute(mine.values(**values))
        return isinstance(done, CursorResult) and done.rowcount > 0
