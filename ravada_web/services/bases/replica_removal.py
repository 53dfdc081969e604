"""Deleting replicas and bases that are wanted no more, their files first."""

from collections.abc import Sequence

from ravada_web.extensions import db
from ravada_web.models import Base, Replica, ReplicaState
from ravada_web.remote import files
from ravada_web.remote.target import Target
from ravada_web.services.bases import replica_files, replicas
from ravada_web.services.bases.replica_plan import check, require_reachable
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import leftovers, pools


def remove(handle: Handle) -> None:
    """Delete a replica that is not wanted any more, its files first."""
    replica = db.session.get(Replica, handle.params["replica_id"])
    if replica is None or replica.operation_id != handle.operation_id or replica.state != ReplicaState.REMOVING:
        return
    replica_id, where, directory = replica.id, endpoints.target(replica.node), _former_directory(replica)
    names = replica_files.known(replica)
    if replica.directory:
        require_reachable(replica.node)
    elif not replica.node.is_reachable:
        directory = ""  # nothing was ever there; what an attempt has left is swept when the node is back
    if replicas.is_wanted(db.session(), replica_id):
        return
    check(handle, replica_id)
    delete_files(where, directory, names)
    with handle.writing() as session:
        row = session.get(Replica, replica_id)
        if row is None or row.operation_id != handle.operation_id or replicas.is_wanted(session, replica_id):
            return
        session.delete(row)


def remove_base(handle: Handle) -> None:
    """Delete all replicas of a base, then its row."""
    base = db.session.get(Base, handle.base_id)
    if base is None:
        return
    held = [
        (endpoints.target(replica.node), _former_directory(replica), replica_files.known(replica))
        for version in base.versions
        for replica in version.replicas
        if replica.directory or replica.node.is_reachable
    ]
    for where, directory, names in held:
        handle.check()
        delete_files(where, directory, names)
    with handle.writing() as session:
        row = session.get(Base, handle.base_id)
        if row is not None:
            session.delete(row)


def _former_directory(replica: Replica) -> str:
    """Where its files are, or what an attempt has left of them; "" where there can be none."""
    pool = pools.working_pool(replica.node)
    return replica.directory or (pool.path if pool else "")


def delete_files(where: Target, directory: str, names: Sequence[str]) -> None:
    """Delete these files of a folder, with what attempts have left there; nothing where there is no folder."""
    if directory:
        paths = [pools.in_pool(directory, name) for name in names]
        files.remove_files(endpoints.workspace(), where, paths)
        leftovers.sweep(where, [directory])
