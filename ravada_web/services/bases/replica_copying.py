"""Copying the files that a replica lacks: each under a temporary name, verified, and only then given its name."""

from collections.abc import Sequence
from contextlib import suppress

from ravada_web.errors import Conflict
from ravada_web.messages import message
from ravada_web.models import Replica, ReplicaState
from ravada_web.remote import files, images
from ravada_web.remote.errors import CopyFailed, RemoteError
from ravada_web.remote.target import Target
from ravada_web.remote.transfer import copy_file
from ravada_web.services.bases import replica_files, replicas
from ravada_web.services.bases.replica_plan import File, Plan, check, hash_of, write
from ravada_web.services.bases.replica_sources import Source, no_source, sources
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import pools
from ravada_web.services.storage.file_names import temporary_name

# A copy that is not like the original's manifest: the original is looked at before anybody is blamed.
DIFFERS = ("bases.copy_differs", "remote.copy_length")


class Copying:
    """Bringing the files that are lacking, from the first source that turns out to be whole."""

    def __init__(self, handle: Handle, plan: Plan, lacking: Sequence[File], stamps: dict[str, str]) -> None:
        self._handle, self._plan, self._stamps = handle, plan, stamps
        self._lacking = list(lacking)
        self._total = max(1, sum(file.size for file in lacking))
        self._done = 0

    def run(self) -> None:
        """Copy all. Raises Conflict where no other node has a whole copy, and RemoteError."""
        problem: RemoteError | None = None
        for source in sources(self._plan):
            try:
                while self._lacking and self._is_sound(source, self._lacking[0]):
                    if not self._copy(source, self._lacking[0]):
                        break
                    self._done += self._lacking.pop(0).size
            except RemoteError as error:  # another source may do
                problem = error
            if not self._lacking:
                return
        check(self._handle, self._plan.replica_id)
        if problem:
            raise problem
        raise Conflict(no_source(self._plan, self._lacking[0]))

    def _is_sound(self, source: Source, file: File) -> bool:
        """Whether the source's file is as it was, by its hash where that is in doubt; a damaged source is marked."""
        path = pools.in_pool(source.directory, file.name)
        seen = replica_files.look(source.where, [path]).get(path)
        if seen is not None and seen.stamp == source.stamps.get(file.name):
            return True
        if seen is not None and seen.size == file.size and hash_of(source.where, path, file) == file.sha256:
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
        write(self._handle, plan.replica_id, state=ReplicaState.COPYING)
        try:
            copy_file(workspace, source.where, original, plan.where, part, size=file.size, on_progress=self._show)
            write(self._handle, plan.replica_id, state=ReplicaState.VERIFYING)
            self._verify(file, part)
            check(self._handle, plan.replica_id)
            self._publish(file, part)
        except BaseException as error:
            _discard(plan.where, part)
            if not isinstance(error, CopyFailed) or error.message.kind not in DIFFERS:
                raise
            if hash_of(source.where, original, file) == file.sha256:
                raise
            self._blame(source, file, gone=False)
            return False
        return True

    def _verify(self, file: File, part: str) -> None:
        """Compare the copy with the hash taken when the base was prepared. Raises CopyFailed."""
        where = self._plan.where
        state = replica_files.look(where, [part]).get(part)
        seen = hash_of(where, part, file)
        if seen != file.sha256:
            hashes = {"seen": seen[:12], "original": file.sha256[:12]}
            raise CopyFailed(message("bases.copy_differs", file=file.name, node=where.name, **hashes))
        self._stamps[file.name] = state.stamp if state else ""

    def _show(self, copied: int) -> None:
        percent = 100 * (self._done + copied) / self._total
        self._handle.progress(percent, message("bases.copying"))
        write(self._handle, self._plan.replica_id, state=ReplicaState.COPYING, progress=int(percent))

    def _publish(self, file: File, part: str) -> None:
        plan, final = self._plan, self._plan.path(file.name)
        if file.name in plan.known:
            images.replace(endpoints.workspace(), plan.where, part, final)
        else:
            images.publish(endpoints.workspace(), plan.where, part, final, file.sha256)
        write(self._handle, plan.replica_id, directory=plan.directory, stamps=self._stamps)


def _discard(where: Target, part: str) -> None:
    """Take a part-made copy away, if the node can still be reached; its name is this attempt's alone."""
    with suppress(RemoteError):  # the reason why the copy failed matters more
        files.remove_files(endpoints.workspace(), where, [part])
