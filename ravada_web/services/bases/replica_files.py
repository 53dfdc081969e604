"""A version's files on a node: which they are, and whether they are as they were when they were known to be whole."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import BaseDisk, Replica, ReplicaState
from ravada_web.remote import files
from ravada_web.remote.errors import CommandFailed
from ravada_web.remote.files import FileState
from ravada_web.remote.target import Target
from ravada_web.services.bases import replicas
from ravada_web.services.nodes import endpoints
from ravada_web.services.storage import pools
from ravada_web.services.storage.file_names import template_name, template_of


@dataclass(frozen=True)
class Expected:
    """A file of a ready replica as it is to be: its stamp ("" where it was never looked at), and its length in bytes
    (None where that follows from others)."""

    replica_id: int
    name: str
    directory: str
    stamp: str
    size: int | None

    @property
    def path(self) -> str:
        """Where it is on its node."""
        return pools.in_pool(self.directory, self.name)


@dataclass(frozen=True)
class Finding:
    """A file that is not as expected, and how it was seen; None: it is not there."""

    expected: Expected
    seen: FileState | None

    @property
    def is_damage(self) -> bool:
        """Whether the file cannot be whole; else it may be, and its hash says."""
        size = self.expected.size
        return self.seen is None or (size is not None and self.seen.size != size)


def expected_on(node_ids: Sequence[int], version_ids: Sequence[int] | None = None) -> dict[int, list[Expected]]:
    """The files of the ready replicas on these nodes, of all versions or of these, by the node's id."""
    query = (
        select(
            Replica.node_id,
            Replica.id,
            Replica.directory,
            Replica.stamps,
            BaseDisk.file_name,
            BaseDisk.kind,
            BaseDisk.size,
        )
        .join(BaseDisk, BaseDisk.version_id == Replica.version_id)
        .where(Replica.node_id.in_(node_ids), Replica.state == ReplicaState.READY)
    )
    if version_ids is not None:
        query = query.where(Replica.version_id.in_(version_ids))
    found: dict[int, list[Expected]] = {}
    for node_id, replica_id, directory, stamps, file, kind, size in db.session.execute(query):
        for name, length in ({template_of(file, kind): None} | {file: size}).items():
            expected = Expected(replica_id, name, directory, stamps.get(name, ""), length)
            found.setdefault(node_id, []).append(expected)
    return found


def to_look_at(expected: Iterable[Expected]) -> tuple[str, ...]:
    """The paths to look at: the files and their folders, without which nothing can be said of the files."""
    paths = dict.fromkeys(path for item in expected for path in (item.directory, item.path))
    return tuple(paths)


def compare(expected: Iterable[Expected], seen: Mapping[str, FileState]) -> list[Finding]:
    """What is not as expected. Of a folder that was not seen nothing is said: it may not be mounted."""
    return [
        Finding(item, seen.get(item.path))
        for item in expected
        if item.directory in seen and _stamp(seen.get(item.path)) != item.stamp
    ]


def _stamp(state: FileState | None) -> str | None:
    return state.stamp if state is not None else None


def note(session: Session, findings: Sequence[Finding]) -> None:
    """Write down what was seen: a damaged replica is copied again, a doubtful one verified. What has changed since, or
    is in work, is passed over; a file that was never looked at before is taken as it is if its length is right."""
    ids = {finding.expected.replica_id for finding in findings}
    if not ids:
        return
    rows = session.scalars(select(Replica).where(Replica.id.in_(ids)).order_by(Replica.id).with_for_update()).all()
    for replica in rows:
        mine = [finding for finding in findings if finding.expected.replica_id == replica.id]
        _note_one(session, replica, [finding for finding in mine if _is_news(replica, finding)])


def _is_news(replica: Replica, finding: Finding) -> bool:
    expected = finding.expected
    return replica.state == ReplicaState.READY and replica.stamps.get(expected.name, "") == expected.stamp


def _note_one(session: Session, replica: Replica, news: Sequence[Finding]) -> None:
    if damage := next((finding for finding in news if finding.is_damage), None):
        replicas.doubt(session, replica, ReplicaState.FAILED, _damage(replica, damage))
    elif doubt := next((finding for finding in news if finding.expected.stamp), None):
        reason = message("bases.file_touched", file=doubt.expected.name, node=replica.node.name)
        replicas.doubt(session, replica, ReplicaState.VERIFYING, reason)
    else:
        first = {finding.expected.name: finding.seen.stamp for finding in news if finding.seen}
        replica.stamps = replica.stamps | first


def _damage(replica: Replica, finding: Finding) -> Message:
    return damage(finding.expected.name, replica.node.name, gone=finding.seen is None)


def damage(file: str, node: str, *, gone: bool) -> Message:
    """What is said of a replica whose file is gone, or is not what it was."""
    if gone:
        return message("bases.file_missing", file=file, node=node)
    return message("bases.file_changed", file=file, node=node)


def look(where: Target, paths: Sequence[str]) -> dict[str, FileState]:
    """Look at these files and folders of a node. Raises RemoteError, also where a folder is not there."""
    seen = files.file_states(endpoints.workspace(), where, paths)
    folders = {path.rpartition("/")[0] for path in paths if path not in seen}
    if lost := sorted(folders - set(files.file_states(endpoints.workspace(), where, sorted(folders)))):
        raise CommandFailed(
            where.name, message("remote.step_look_at_files"), 1, message("remote.no_folder", paths=lost)
        )
    return seen


def known(replica: Replica) -> list[str]:
    """The names of the files in its folder that are the replica's, as the database has it; others are not ours."""
    if not replica.directory:
        return []
    mine = [file for file in replica.version.files if not replica.stamps or file.file_name in replica.stamps]
    return [name for file in mine for name in dict.fromkeys((file.file_name, template_name(file)))]


def stamps_of(where: Target, directory: str, version_files: Iterable[str]) -> dict[str, str]:
    """The stamps of these files in a folder, by their names. Raises RemoteError."""
    paths = {pools.in_pool(directory, name): name for name in version_files}
    return {paths[path]: seen.stamp for path, seen in look(where, list(paths)).items()}
