"""Copying a base's disks to a node and deleting them, done by jobs: what is there and whole is kept; what is not is
copied under a temporary name, verified, and only then given its name; nothing is ever overwritten in place.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import CursorResult, select, update

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Base, Node, Replica, ReplicaState
from ravada_web.remote import files, images, overlays
from ravada_web.remote.errors import CopyFailed, RemoteError
from ravada_web.remote.images import INSPECT_SECONDS, hash_seconds
from ravada_web.remote.target import Target
from ravada_web.remote.transfer import copy_file
from ravada_web.services.bases import replica_files, replicas
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Cancelled, Handle
from ravada_web.services.storage import leftovers, pools
from ravada_web.services.storage.file_names import template_name, temporary_name

# A copy that is not like the original's manifest: the original is looked at before anybody is blamed.
DIFFERS = ("bases.copy_differs", "remote.copy_length")


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


def copy(handle: Handle) -> None:
    """Bring the replica in order on the operation's node."""
    plan = _plan(handle)
    if plan is None:
        return
    leftovers.sweep(plan.where, [plan.directory])
    stamps: dict[str, str] = {}
    lacking = [file for file in plan.files if not _is_whole(handle, plan, file, stamps)]
    if lacking:
        _require_room(handle, plan, sum(file.size for file in lacking))
        _Copying(handle, plan, lacking, stamps).run()
    _make_templates(handle, plan, stamps)
    _finish(handle, plan, stamps)


def _plan(handle: Handle) -> Plan | None:
    """What is to be done; None where it is not, or not by this operation, any more. Raises Conflict."""
    replica = db.session.get(Replica, handle.params["replica_id"])
    if replica is None or replica.operation_id != handle.operation_id or replica.state == ReplicaState.READY:
        return None
    if not replicas.is_wanted(db.session(), replica.id):
        return None
    _require_reachable(replica.node)
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


def _require_reachable(node: Node) -> None:
    if not node.is_reachable and node.why:
        raise Conflict(message("bases.node_unreachable_because", node=node.name, why=node.why))
    if not node.is_reachable:
        raise Conflict(message("bases.node_unreachable", node=node.name))


def _check(handle: Handle, replica_id: int) -> None:
    """As `handle.check`; also ends the work when the replica was given to another operation, or is gone."""
    handle.check()
    if db.session.scalar(select(Replica.operation_id).where(Replica.id == replica_id)) != handle.operation_id:
        raise Cancelled


def _is_whole(handle: Handle, plan: Plan, file: File, stamps: dict[str, str]) -> bool:
    """Whether the file is there with the right hash; its stamp is kept then."""
    path = plan.path(file.name)
    seen = replica_files.look(plan.where, [path]).get(path)
    if seen is None or seen.size != file.size:
        return False
    _set(handle, plan.replica_id, state=ReplicaState.VERIFYING)
    if _hash(plan.where, path, file) != file.sha256:
        return False
    stamps[file.name] = seen.stamp
    return True


def _hash(where: Target, path: str, file: File) -> str:
    return images.sha256(endpoints.workspace(), where, path, deadline=hash_seconds(file.size))


def _require_room(handle: Handle, plan: Plan, need: int) -> None:
    space = files.free_space(endpoints.workspace(), plan.where, [plan.directory], deadline=INSPECT_SECONDS)
    _check(handle, plan.replica_id)
    node = db.session.get_one(Node, plan.where.node_id)
    pools.require_room(node, plan.directory, space[plan.directory][1] >> 20, need >> 20)


@dataclass(frozen=True)
class Source:
    """A replica on another node that says it is ready."""

    replica_id: int
    node_name: str
    where: Target
    directory: str
    stamps: dict[str, str]


class _Copying:
    """Bringing the files that are lacking, from the first source that turns out to be whole."""

    def __init__(self, handle: Handle, plan: Plan, lacking: Sequence[File], stamps: dict[str, str]) -> None:
        self._handle, self._plan, self._stamps = handle, plan, stamps
        self._lacking = list(lacking)
        self._total = max(1, sum(file.size for file in lacking))
        self._done = 0

    def run(self) -> None:
        """Copy all. Raises Conflict where no other node has a whole copy, and RemoteError."""
        problem: RemoteError | None = None
        for source in _sources(self._plan):
            try:
                while self._lacking and self._is_sound(source, self._lacking[0]):
                    if not self._copy(source, self._lacking[0]):
                        break
                    self._done += self._lacking.pop(0).size
            except RemoteError as error:  # another source may do
                problem = error
            if not self._lacking:
                return
        _check(self._handle, self._plan.replica_id)
        if problem:
            raise problem
        raise Conflict(_no_source(self._plan, self._lacking[0]))

    def _is_sound(self, source: Source, file: File) -> bool:
        """Whether the source's file is as it was, by its hash where that is in doubt; a damaged source is marked."""
        path = pools.in_pool(source.directory, file.name)
        seen = replica_files.look(source.where, [path]).get(path)
        if seen is not None and seen.stamp == source.stamps.get(file.name):
            return True
        if seen is not None and seen.size == file.size and _hash(source.where, path, file) == file.sha256:
            return True
        self._blame(source, file, gone=seen is None)
        return False

    def _blame(self, source: Source, file: File, *, gone: bool) -> None:
        reason = replica_files.damage(file.name, source.node_name, gone=gone)
        with self._handle.writing() as session:
            row = session.get(Replica, source.replica_id)
            if row is not None and row.state == ReplicaState.READY:
                replicas.doubt(session, row, ReplicaState.FAILED, reason)

    def _copy(self, source: Source, file: File) -> bool:
        """Copy one file; False where the source was to blame that it did not arrive whole."""
        plan, workspace = self._plan, endpoints.workspace()
        part = plan.path(temporary_name(file.name, self._handle.token))
        original = pools.in_pool(source.directory, file.name)
        _set(self._handle, plan.replica_id, state=ReplicaState.COPYING)
        try:
            copy_file(workspace, source.where, original, plan.where, part, size=file.size, on_progress=self._show)
            _set(self._handle, plan.replica_id, state=ReplicaState.VERIFYING)
            self._verify(file, part)
            _check(self._handle, plan.replica_id)
            self._publish(file, part)
        except BaseException as error:
            _discard(plan.where, part)
            if not isinstance(error, CopyFailed) or error.message.kind not in DIFFERS:
                raise
            if _hash(source.where, original, file) == file.sha256:
                raise
            self._blame(source, file, gone=False)
            return False
        return True

    def _verify(self, file: File, part: str) -> None:
        """Compare the copy with the hash taken when the base was prepared. Raises CopyFailed."""
        where = self._plan.where
        state = replica_files.look(where, [part]).get(part)
        seen = _hash(where, part, file)
        if seen != file.sha256:
            hashes = {"seen": seen[:12], "original": file.sha256[:12]}
            raise CopyFailed(message("bases.copy_differs", file=file.name, node=where.name, **hashes))
        self._stamps[file.name] = state.stamp if state else ""

    def _show(self, copied: int) -> None:
        percent = 100 * (self._done + copied) / self._total
        self._handle.progress(percent, message("bases.copying"))
        _set(self._handle, self._plan.replica_id, state=ReplicaState.COPYING, progress=int(percent))

    def _publish(self, file: File, part: str) -> None:
        plan, final = self._plan, self._plan.path(file.name)
        if file.name in plan.known:
            images.replace(endpoints.workspace(), plan.where, part, final)
        else:
            images.publish(endpoints.workspace(), plan.where, part, final, file.sha256)
        _set(self._handle, plan.replica_id, directory=plan.directory, stamps=self._stamps)


def _sources(plan: Plan) -> list[Source]:
    """The ready replicas of the same version on other nodes that can be reached, the one that it was made on first."""
    version = select(Replica.version_id).where(Replica.id == plan.replica_id).scalar_subquery()
    query = select(Replica).where(
        Replica.version_id == version, Replica.id != plan.replica_id, Replica.state == ReplicaState.READY
    )
    rows = [row for row in db.session.scalars(query) if row.node.is_reachable]
    rows.sort(key=lambda row: (row.node_id != row.version.base.node_id, row.id))
    sources: list[Source] = []
    for row in rows:
        with guarded(_no_source_there, node=row.node.name):
            sources.append(Source(row.id, row.node.name, endpoints.target(row.node), row.directory, row.stamps))
    return sources


def _no_source_there(_reason: Message) -> None:
    """A node that cannot be reached at its address is no source; its own state says why."""


def _no_source(plan: Plan, lacking: File) -> Message:
    """Why there is nothing to copy from: the original is away, in work, or damaged, with what to do then."""
    replica = db.session.get_one(Replica, plan.replica_id)
    base = replica.version.base
    query = select(Replica).where(Replica.version_id == replica.version_id, Replica.node_id == base.node_id)
    original = db.session.scalar(query)
    if original is None:
        return message("bases.not_ready", base=base.name)
    if original.id == replica.id:
        why = message("bases.file_damaged", file=lacking.name, node=base.node.name)
    elif original.state == ReplicaState.READY:
        _require_reachable(original.node)
        return message("bases.original_in_work", base=base.name, node=original.node.name)
    elif original.state == ReplicaState.VERIFYING or not original.reason:
        return message("bases.original_in_work", base=base.name, node=original.node.name)
    else:
        why = original.reason
    if why.kind == "bases.original_changed":
        return why
    return message("bases.original_changed", base=base.name, node=base.node.name, why=why)


def _make_templates(handle: Handle, plan: Plan, stamps: dict[str, str]) -> None:
    """Make the empty overlays that clones' disks are copies of; they are always the same bytes."""
    _check(handle, plan.replica_id)
    disks = [file for file in plan.files if file.template != file.name]
    workspace, token = endpoints.workspace(), handle.token
    for file in disks:
        backing, template = plan.path(file.name), plan.path(file.template)
        overlays.make_template(workspace, plan.where, backing, template, file.virtual_size, token)
    stamps |= replica_files.stamps_of(plan.where, plan.directory, [file.template for file in disks])


def _finish(handle: Handle, plan: Plan, stamps: dict[str, str]) -> None:
    """Call the replica ready; where it was taken away meanwhile, what was published goes again."""
    values = {"state": ReplicaState.READY, "progress": 100, "directory": plan.directory, "reason": NOTHING}
    values |= {"stamps": stamps, "failures": 0, "retry_at": None}
    if not _set(handle, plan.replica_id, **values):
        made = [name for file in plan.files for name in (file.template, file.name)]
        _delete(plan.where, plan.directory, [name for name in made if name not in plan.known])


def _discard(where: Target, part: str) -> None:
    """Take a part-made copy away, if the node can still be reached; its name is this attempt's alone."""
    with suppress(RemoteError):  # the reason why the copy failed matters more
        files.remove_files(endpoints.workspace(), where, [part])


def _set(handle: Handle, replica_id: int, **values: object) -> bool:
    """Write the replica's values, unless another operation has taken it over."""
    with handle.writing() as session:
        mine = update(Replica).where(Replica.id == replica_id, Replica.operation_id == handle.operation_id)
        done = session.execute(mine.values(**values))
        return isinstance(done, CursorResult) and done.rowcount > 0


def remove(handle: Handle) -> None:
    """Delete a replica that is not wanted any more, its files first."""
    replica = db.session.get(Replica, handle.params["replica_id"])
    if replica is None or replica.operation_id != handle.operation_id or replica.state != ReplicaState.REMOVING:
        return
    replica_id, where, directory = replica.id, endpoints.target(replica.node), _former_directory(replica)
    names = replica_files.known(replica)
    if replica.directory:
        _require_reachable(replica.node)
    elif not replica.node.is_reachable:
        directory = ""  # nothing was ever there; what an attempt has left is swept when the node is back
    if replicas.is_wanted(db.session(), replica_id):
        return
    _check(handle, replica_id)
    _delete(where, directory, names)
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
        _delete(where, directory, names)
    with handle.writing() as session:
        row = session.get(Base, handle.base_id)
        if row is not None:
            session.delete(row)


def _former_directory(replica: Replica) -> str:
    """Where its files are, or what an attempt has left of them; "" where there can be none."""
    pool = pools.working_pool(replica.node)
    return replica.directory or (pool.path if pool else "")


def _delete(where: Target, directory: str, names: Sequence[str]) -> None:
    if directory:
        paths = [pools.in_pool(directory, name) for name in names]
        files.remove_files(endpoints.workspace(), where, paths)
        leftovers.sweep(where, [directory])
