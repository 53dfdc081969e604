"""Preparing a base, done by jobs: a version of its disks is made on the master."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.messages import NOTHING, message
from ravada_web.models import (
    AllowedNode,
    Base,
    BaseDisk,
    BaseState,
    BaseVersion,
    FileKind,
    Node,
    Replica,
    ReplicaState,
    User,
    now,
)
from ravada_web.remote import files, images, overlays
from ravada_web.remote.images import BLOCK_SIZE, INSPECT_SECONDS, hash_seconds
from ravada_web.services.bases import nvram as nvram_files
from ravada_web.services.bases import replica_files, replicas, source_images
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import leftovers, pools
from ravada_web.services.storage.file_names import template_name, temporary_name, version_file_name


def prepare(handle: Handle) -> None:
    """Flatten each disk under a temporary name, hash it whole and block by block, publish it read-only; an NVRAM is
    copied as it is."""
    base = db.session.get_one(Base, handle.base_id)
    node = base.node
    directory = pools.require_pool(node).path
    leftovers.sweep(endpoints.target(node), [directory])
    number = max((version.number for version in base.versions), default=0) + 1
    _require_space(base, node, directory)
    disks = [_prepare_disk(handle, base, node, directory, number, position) for position in range(len(_disks(base)))]
    variables = [
        nvram_files.prepare(handle, base, directory, number, source["path"])
        for source in base.source_disks
        if source.get("kind") == FileKind.NVRAM
    ]
    handle.check()
    made = [*disks, *variables]
    for file in made:
        _publish(handle, node, directory, file)
    names = {name for file in made for name in (file.file_name, template_name(file))}
    stamps = replica_files.stamps_of(endpoints.target(node), directory, names)
    replica = Replica(node_id=node.id, state=ReplicaState.READY, progress=100, directory=directory, stamps=stamps)
    with handle.writing() as session:
        _write_version(session, handle, base, replica, BaseVersion(number=number, prepared_at=now(), files=made))


def _disks(base: Base) -> list[dict[str, Any]]:
    """The disks among the files that the base is made from."""
    return [source for source in base.source_disks if source.get("kind", FileKind.DISK) == FileKind.DISK]


def _require_space(base: Base, node: Node, directory: str) -> None:
    """Refuse to begin what cannot end for want of room, however little room the sources take."""
    workspace, where = endpoints.workspace(), endpoints.target(node)
    need = 0
    for disk in _disks(base):
        source_images.require_sound(node, disk["path"], disk["format"])
        need += images.measure(workspace, where, disk["path"], disk["format"])
    space = files.free_space(workspace, where, [directory], deadline=INSPECT_SECONDS)
    pools.require_room(node, directory, space[directory][1] >> 20, need >> 20)


def _prepare_disk(handle: Handle, base: Base, node: Node, directory: str, number: int, position: int) -> BaseDisk:
    source, count = _disks(base)[position], len(_disks(base))
    share, first = 100 / count, 100 * position / count
    workspace, where = endpoints.workspace(), endpoints.target(node)
    name = version_file_name(base, number, source["target"])
    temporary = pools.in_pool(directory, temporary_name(name, handle.token))
    info = source_images.require_sound(node, source["path"], source["format"])
    handle.check()
    images.flatten(
        workspace, where, source["path"], source["format"], temporary,
        on_progress=lambda percent: handle.progress(first + share * 0.6 * percent / 100, message("bases.flattening")),
    )  # fmt: skip
    handle.progress(first + share * 0.7, message("bases.hashing"))
    size = files.file_size(workspace, where, temporary, deadline=INSPECT_SECONDS)
    return BaseDisk(
        kind=FileKind.DISK,
        target=source["target"],
        file_name=name,
        size=size,
        virtual_size=info.virtual_size,
        sha256=images.sha256(workspace, where, temporary, deadline=hash_seconds(size)),
        block_size=BLOCK_SIZE,
        blocks=images.block_manifest(workspace, where, temporary, BLOCK_SIZE, deadline=hash_seconds(size)),
    )


def _publish(handle: Handle, node: Node, directory: str, disk: BaseDisk) -> None:
    """Give a verified file its name, and put the empty overlay beside a disk."""
    workspace, where = endpoints.workspace(), endpoints.target(node)
    final = pools.in_pool(directory, disk.file_name)
    images.publish(
        workspace,
        where,
        pools.in_pool(directory, temporary_name(disk.file_name, handle.token)),
        final,
        disk.sha256,
    )
    if disk.kind == FileKind.DISK:
        template = pools.in_pool(directory, template_name(disk))
        overlays.make_template(workspace, where, final, template, disk.virtual_size, handle.token)


def _write_version(session: Session, handle: Handle, base: Base, replica: Replica, version: BaseVersion) -> None:
    version.replicas = [replica]
    base.versions.append(version)
    base.state, base.reason = BaseState.READY, NOTHING
    session.flush()
    allowed = session.scalars(
        select(Node).join(AllowedNode, AllowedNode.node_id == Node.id).where(AllowedNode.base_id == base.id)
    )
    replicas.ensure(session, base, allowed)
    replicas.settle(session, session.get(User, handle.user_id), base_id=base.id)
