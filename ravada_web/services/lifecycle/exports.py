"""Exporting disks that are left on a node: each with its base as one qcow2, in a folder of the node's pool."""

import shlex
from dataclasses import dataclass
from posixpath import basename, dirname

from sqlalchemy import update

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.hypervisor import domains
from ravada_web.messages import message
from ravada_web.models import UNDECIDED, Node, Operation, Remains, User
from ravada_web.remote import files, foreign_images, images
from ravada_web.remote.foreign_images import INSPECT_SECONDS, Layers
from ravada_web.remote.target import Target
from ravada_web.services.audit import events
from ravada_web.services.lifecycle import orphans
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import outbox
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.execution import Handle
from ravada_web.services.permissions import rights
from ravada_web.services.storage import pools
from ravada_web.services.storage.file_names import FileOf, named, temporary_name
from ravada_web.services.transaction import transaction

# Below the pool's folder.
FOLDER = "exports"
_MIB = 1 << 20


def disks_of(row: Remains) -> list[str]:
    """The disks of what is left that can be exported."""
    return [path for path in row.files if (own := named(basename(path))) and own.of == FileOf.CLONE and own.target]


def request(actor: User, node: Node, remains_id: int) -> Operation:
    """Have its disks exported. Raises Conflict where it has none, or the node is not up, and NotFound."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        row = orphans.get(actor, node, remains_id)
        if not node.is_reachable:
            raise Conflict(message("nodes.not_up_now", node=node.name))
        if not disks_of(row):
            raise Conflict(message("nodes.nothing_to_export", name=row.name))
        orphans.require_not_exported(session, row)
        title = message("nodes.title_export", name=row.name, node=node.name)
        events.record(session, actor, "export", node, message("nodes.exports", name=row.name))
        params = {"remains_id": row.id}
        return operation_requests.request(session, "node_export", title, actor=actor, node=node, params=params)


@dataclass(frozen=True)
class _Export:
    """A disk that is exported: what it is made of, under which temporary and final name, and its bytes at most."""

    layers: Layers
    temporary: str
    final: str
    most: int


def export(handle: Handle) -> None:
    """Write each disk, with what it stands on, under a temporary name, then give it its own; one of an earlier export
    is replaced. Raises Conflict while its machine runs, or where there is no room."""
    node = db.session.get_one(Node, handle.node_id)
    row = db.session.get(Remains, handle.params["remains_id"])
    if row is None or row.node_id != node.id or row.cause not in UNDECIDED:
        raise Conflict(message("nodes.no_such_remains"))
    name, uuid, disks, where = row.name, row.uuid, disks_of(row), endpoints.target(node)
    if uuid is not None:
        _require_off(node, name, uuid)
    exports = [_prepared(handle, where, node, path) for path in disks]
    _require_room(node, where, exports)
    share = 100 / len(exports)
    for number, one in enumerate(exports):
        handle.check()
        _write(handle, where, one, number * share, share)
    paths = [one.final for one in exports]
    done = message("nodes.exported", paths=paths)
    with handle.writing() as session:
        handle.result |= {"files": paths, "commands": [fetch_command(node, path) for path in paths]}
        session.execute(update(Remains).where(Remains.id == handle.params["remains_id"]).values(reason=done))


def _require_off(node: Node, name: str, uuid: str) -> None:
    with endpoints.connect(node) as connection:
        if domains.states(connection, [uuid]).get(uuid, "stopped") != "stopped":
            raise Conflict(message("nodes.export_runs", name=name, node=node.name))


def _prepared(handle: Handle, where: Target, node: Node, path: str) -> _Export:
    own = named(basename(path))
    assert own is not None, "see disks_of"
    workspace, folder = endpoints.workspace(), dirname(path)
    bases = {file.path for file in files.list_ours(workspace, where, [pool.path for pool in node.pools if pool.active])
             if (base := named(basename(file.path))) and base.of == FileOf.BASE}  # fmt: skip
    layers = foreign_images.read_layers(workspace, where, path, bases)
    name = f"{own.stem}-{own.target}.qcow2"
    return _Export(
        layers,
        pools.in_pool(folder, temporary_name(name, handle.token)),
        pools.in_pool(pools.in_pool(folder, FOLDER), name),
        foreign_images.measure_layers(workspace, where, layers),
    )


def _require_room(node: Node, where: Target, exports: list[_Export]) -> None:
    for folder in sorted({dirname(one.temporary) for one in exports}):
        need = sum(one.most for one in exports if dirname(one.temporary) == folder)
        room = files.free_space(endpoints.workspace(), where, [folder], deadline=INSPECT_SECONDS)
        pools.require_room(node, folder, room[folder][1] // _MIB, need // _MIB)


def _write(handle: Handle, where: Target, one: _Export, first: float, share: float) -> None:
    workspace = endpoints.workspace()

    def report(percent: float) -> None:
        handle.progress(first + share * percent / 100, message("nodes.exporting", path=one.final))

    foreign_images.flatten_layers(workspace, where, one.layers, one.temporary, one.most, report)
    handle.check()
    files.make_folder(workspace, where, dirname(one.final))
    images.replace(workspace, where, one.temporary, one.final)


def fetch_command(node: Node, path: str) -> str:
    """The command that fetches a file of the node to where it is run."""
    if node.local:
        return f"sudo cp {shlex.quote(path)} ."
    power = "" if node.user == "root" else "sudo "
    words = ["ssh", "-p", str(node.port), f"{node.user}@{node.address}", f"{power}cat {shlex.quote(path)}"]
    return f"{shlex.join(words)} > {shlex.quote(basename(path))}"
