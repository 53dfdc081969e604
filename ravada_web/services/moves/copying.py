"""Copying a clone's own files from one node to another: under temporary names, verified, and only then given theirs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Node
from ravada_web.remote import files, images, overlays
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CopyFailed
from ravada_web.remote.files import FileState
from ravada_web.remote.images import INSPECT_SECONDS, hash_seconds
from ravada_web.remote.target import Target
from ravada_web.remote.transfer import WRITE, copy_file
from ravada_web.services.moves.rates import Share
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import leftovers, pools
from ravada_web.services.storage.file_names import temporary_name


@dataclass(frozen=True)
class File:
    """A file of the clone: its name, its paths on the source and on the target, and the backing file that it is to name
    there ("" where it names the right one, or none)."""

    name: str
    here: str
    there: str
    backing: str


@dataclass
class Copying:
    """One attempt at copying all of them."""

    handle: Handle
    source: Target
    target: Target
    files: Sequence[File]
    _seen: dict[str, FileState] = field(default_factory=dict)
    _done: int = 0

    def __post_init__(self) -> None:
        self._share = Share(self.source.node_id, self.target.node_id)

    def run(self) -> None:
        """Copy what is not there whole. Raises Conflict, and RemoteError."""
        self._seen = self._look()
        if lacking := [file.name for file in self.files if file.here not in self._seen]:
            raise Conflict(message("moves.file_missing", file=lacking[0], node=self.source.name))
        directories = sorted({file.there.rpartition("/")[0] for file in self.files})
        if self._is_repeated:
            leftovers.sweep(self.target, directories)
        for directory in directories:
            self._require_room(directory)
        for file in self.files:
            self._bring(file)
            self._done += self._seen[file.here].size

    @property
    def _is_repeated(self) -> bool:
        """Whether an earlier attempt may have left something at the target."""
        return self.handle.attempt > 1

    def write(self, path: str, content: bytes) -> None:
        """Have a small file with this content at the target. Raises CopyFailed, and RemoteError."""
        name = path.rpartition("/")[2]
        part = path.removesuffix(name) + temporary_name(name, self.handle.token)
        run(endpoints.workspace(), self.target, WRITE(part), deadline=INSPECT_SECONDS, stdin=content)
        if self._hash(self.target, part, len(content)) != sha256(content).hexdigest():
            raise CopyFailed(message("moves.differs", file=name, node=self.target.name))
        self.handle.check()
        overlays.put_in_place(endpoints.workspace(), self.target, part, path, deadline=INSPECT_SECONDS)

    def is_outdated(self) -> bool:
        """Whether the originals are no longer as they were when they were copied."""
        return self._look() != self._seen

    def _look(self) -> dict[str, FileState]:
        return files.file_states(endpoints.workspace(), self.source, [file.here for file in self.files])

    def _require_room(self, directory: str) -> None:
        """For what an earlier attempt has not brought."""
        there = [file.there for file in self.files] if self._is_repeated else []
        brought = files.file_states(endpoints.workspace(), self.target, there)
        lacking = [file for file in self.files if file.there not in brought]
        need = sum(self._seen[file.here].size for file in lacking if file.there.rpartition("/")[0] == directory)
        space = files.free_space(endpoints.workspace(), self.target, [directory], deadline=INSPECT_SECONDS)
        self.handle.check()
        node = db.session.get_one(Node, self.target.node_id)
        pools.require_room(node, directory, space[directory][1] >> 20, need >> 20)

    def _bring(self, file: File) -> None:
        size = self._seen[file.here].size
        if self._is_repeated and not file.backing and self._is_there(file, size):
            return
        workspace = endpoints.workspace()
        part = file.there.removesuffix(file.name) + temporary_name(file.name, self.handle.token)
        read, ends = sha256(), (self.source, file.here, self.target, part)
        copy_file(
            workspace,
            *ends,
            size=size,
            on_progress=self._show,
            on_block=read.update,
            most=lambda: self._share.mib() << 20,
            carried=True,
        )
        self._show(size, message("moves.verifying"))
        if self._hash(self.target, part, size) != read.hexdigest():
            raise CopyFailed(message("moves.differs", file=file.name, node=self.target.name))
        if file.backing:
            overlays.rebase(workspace, self.target, file.backing, part)
        self.handle.check()
        overlays.put_in_place(workspace, self.target, part, file.there, deadline=hash_seconds(size))

    def _is_there(self, file: File, size: int) -> bool:
        """Whether an earlier attempt has brought it."""
        seen = files.file_states(endpoints.workspace(), self.target, [file.there]).get(file.there)
        if seen is None or seen.size != size:
            return False
        self._show(0, message("moves.verifying"))
        return self._hash(self.target, file.there, size) == self._hash(self.source, file.here, size)

    def _hash(self, where: Target, path: str, size: int) -> str:
        return images.sha256(endpoints.workspace(), where, path, deadline=hash_seconds(size))

    def _show(self, copied: int, step: Message | None = None) -> None:
        total = max(1, sum(state.size for state in self._seen.values()))
        left = message("moves.copying", left_mib=(total - self._done - copied) >> 20)
        self.handle.progress(100 * (self._done + copied) / total, step or left)
