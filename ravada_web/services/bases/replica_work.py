"""Copying a base's disks to a node and deleting them, done by jobs: copy, verify, publish; never overwrite."""

from contextlib import suppress

from sqlalchemy import select, update

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, message
from ravada_web.models import Base, BaseDisk, FileKind, Node, Replica, ReplicaState
from ravada_web.remote import files, images, overlays
from ravada_web.remote.errors import RemoteError
from ravada_web.remote.images import INSPECT_SECONDS, hash_seconds
from ravada_web.remote.transfer import copy_file
from ravada_web.services.bases.replicas import stands_on
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import pools
from ravada_web.services.storage.file_names import template_name, temporary_name
from ravada_web.services.transaction import transaction


def copy(handle: Handle) -> None:
    """Copy a version's disks to the operation's node: under a temporary name, verified whole, then renamed."""
    replica = db.session.get(Replica, handle.params["replica_id"])
    if replica is None or replica.state == ReplicaState.READY:
        return
    source = _source(replica)
    directory = pools.require_pool(replica.node).path
    _require_room(replica, directory)
    done = 0
    for disk in replica.version.files:
        _copy_disk(handle, replica, source, disk, directory, done)
        done += disk.size
    _set(replica.id, state=ReplicaState.READY, progress=100, directory=directory, reason=NOTHING)


def _source(replica: Replica) -> Replica:
    """The replica on the node where the base was made: the one that the manifest was taken of."""
    base = replica.version.base
    query = select(Replica).where(Replica.version_id == replica.version_id, Replica.node_id == base.node_id)
    original = db.session.scalar(query)
    if original is None or original.state != ReplicaState.READY:
        raise Conflict(message("bases.not_ready", base=base.name))
    for node in (original.node, replica.node):
        _require_reachable(node)
    return original


def _require_reachable(node: Node) -> None:
    if not node.is_reachable and node.reason:
        raise Conflict(message("bases.node_unreachable_because", node=node.name, why=node.reason))
    if not node.is_reachable:
        raise Conflict(message("bases.node_unreachable", node=node.name))


def _require_room(replica: Replica, directory: str) -> None:
    space = files.free_space(
        endpoints.workspace(), endpoints.target(replica.node), [directory], deadline=INSPECT_SECONDS
    )
    pools.require_room(replica.node, directory, space[directory][1] >> 20, replica.version.size >> 20)


def _copy_disk(handle: Handle, replica: Replica, source: Replica, disk: BaseDisk, directory: str, done: int) -> None:
    workspace, where = endpoints.workspace(), endpoints.target(replica.node)
    part = pools.in_pool(directory, temporary_name(disk.file_name, handle.token))
    total = max(1, replica.version.size)
    replica_id = replica.id

    def show(copied: int) -> None:
        percent = 100 * (done + copied) / total
        handle.progress(percent, message("bases.copying"))
        _set(replica_id, state=ReplicaState.COPYING, progress=int(percent))

    try:
        copy_file(
            workspace, endpoints.target(source.node), pools.in_pool(source.directory, disk.file_name), where, part,
            size=disk.size, on_progress=show,
        )  # fmt: skip
        _set(replica_id, state=ReplicaState.VERIFYING)
        _verify(disk, replica.node, part)
        handle.check()
        final = pools.in_pool(directory, disk.file_name)
        images.publish(workspace, where, part, final, disk.sha256)
        if disk.kind == FileKind.DISK:
            overlays.make_template(workspace, where, final, pools.in_pool(directory, template_name(disk)))
    except BaseException:
        _discard(replica.node, part)
        raise


def _verify(disk: BaseDisk, node: Node, part: str) -> None:
    """Compare the copy with the hash taken when the base was prepared. Raises Conflict."""
    seen = images.sha256(endpoints.workspace(), endpoints.target(node), part, deadline=hash_seconds(disk.size))
    if seen != disk.sha256:
        hashes = {"seen": seen[:12], "original": disk.sha256[:12]}
        raise Conflict(message("bases.copy_differs", file=disk.file_name, node=node.name, **hashes))


def _discard(node: Node, part: str) -> None:
    """Take a part-made copy away, if the node can still be reached; its name is this attempt's alone."""
    with suppress(RemoteError):  # the reason why the copy failed matters more
        files.remove_files(endpoints.workspace(), endpoints.target(node), [part])


def _set(replica_id: int, **values: object) -> None:
    with transaction() as session:
        session.execute(update(Replica).where(Replica.id == replica_id).values(**values))


def remove(handle: Handle) -> None:
    """Delete an unticked node's replica, unless clones came to stand on it or it was ticked again."""
    replica = db.session.get(Replica, handle.params["replica_id"])
    if replica is None or replica.state != ReplicaState.REMOVING:
        return
    if stands_on(db.session(), replica):
        _set(replica.id, state=ReplicaState.READY)
        raise Conflict(message("bases.replica_in_use"))
    handle.check()
    _delete_files(replica)
    with transaction() as session:
        session.delete(session.get_one(Replica, replica.id))


def remove_base(handle: Handle) -> None:
    """Delete all replicas of a base, then its row."""
    base = db.session.get(Base, handle.base_id)
    if base is None:
        return
    for version in base.versions:
        for replica in version.replicas:
            handle.check()
            _delete_files(replica)
    with transaction() as session:
        session.delete(session.get_one(Base, base.id))


def _delete_files(replica: Replica) -> None:
    if not replica.directory:
        return
    paths = [
        pools.in_pool(replica.directory, name)
        for disk in replica.version.files
        for name in (template_name(disk), disk.file_name)
    ]
    files.remove_files(endpoints.workspace(), endpoints.target(replica.node), paths)
