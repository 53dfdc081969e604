"""What stands on a node and is ours, by its metadata or the names of its files, and is not known: asked of the node, at
most a few times however much that is. What the node says is taken for no more than it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from posixpath import basename, dirname

from ravada_web.hypervisor import marks
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.marks import Found
from ravada_web.messages.foreign import is_name, is_path
from ravada_web.models import RemainsKind
from ravada_web.remote import files, image_headers
from ravada_web.remote.files import FileDated
from ravada_web.remote.foreign_files import read_heads
from ravada_web.remote.target import Target, Workspace
from ravada_web.services.batches import grouped
from ravada_web.services.storage.file_names import FileOf, Named, named

HEADS_SECONDS = 60.0
# No node of ours has left more than this.
MOST_THINGS = 5_000
_KINDS = {
    FileOf.CLONE: RemainsKind.CLONE_FILES,
    FileOf.BASE: RemainsKind.BASE_FILES,
    FileOf.OPERATION: RemainsKind.UNFINISHED,
}
# A base's id, and the number of one of its versions.
Version = tuple[int, int]


@dataclass(frozen=True)
class Known:
    """What is known of a node: the UUIDs of its clones and of what is left of them there, how clones' files begin, the
    paths of files that are left, and the versions of bases that have a copy there."""

    uuids: frozenset[str]
    stems: frozenset[str]
    paths: frozenset[str]
    versions: frozenset[Version]

    def has(self, thing: "Thing") -> bool:
        """Whether it is known by any of that."""
        if thing.domain:
            return thing.domain.uuid in self.uuids
        own = thing.own
        return own is not None and (own.stem in self.stems or own.version in self.versions)


@dataclass(frozen=True)
class Question:
    """Which node is asked, and by which way, its pools' folders, and what was known before: what goes away meanwhile is
    no orphan."""

    workspace: Workspace
    target: Target
    uri: str
    folders: tuple[str, ...]
    known: Known


@dataclass
class Thing:
    """A virtual machine of ours with its files, or files alone that belong together (`own`: one of their names).
    `stands_on`: the versions of bases that its disks name."""

    kind: RemainsKind
    name: str
    files: list[FileDated]
    domain: Found | None = None
    own: Named | None = None
    stands_on: set[Version] = field(default_factory=set)

    @property
    def paths(self) -> list[str]:
        """Where its files are."""
        return list(self.domain.files) if self.domain else [file.path for file in self.files]

    @property
    def key(self) -> str:
        """What it is found by again."""
        return key_of(self.domain.uuid if self.domain else None, self.paths)

    @property
    def disks(self) -> list[str]:
        """Its thin disks, which name the base that they stand on."""
        thin = self.kind in (RemainsKind.MACHINE, RemainsKind.CLONE_FILES)
        return [file.path for file in self.files if thin and file.path.endswith(".qcow2")]

    @property
    def stamp(self) -> str:
        """Another one once a file, or whether it runs, has changed."""
        figures = sorted((file.path, file.size, file.allocated, file.written) for file in self.files)
        return sha256(repr((figures, bool(self.domain and self.domain.runs))).encode()).hexdigest()


def key_of(uuid: str | None, paths: Sequence[str]) -> str:
    """What something that is left is found by again: its machine's UUID, or the folder and the stem of its files."""
    own = named(basename(paths[0])) if paths else None
    return uuid or f"{dirname(paths[0])}/{own.stem if own else ''}"


@dataclass(frozen=True)
class Seen:
    """What was found, and all files that are called as ours are."""

    things: list[Thing]
    files: Mapping[str, FileDated]


def survey(question: Question) -> Seen:
    """Ask its libvirt, then for files, then for the heads of those disks that nobody knows. What others' machines use
    is theirs, whatever it is called. Raises HypervisorError and RemoteError."""
    workspace, where = question.workspace, question.target
    with open_connection(question.uri) as connection:
        domains = marks.find(connection, question.known.uuids, question.folders)
    listed = files.list_ours(workspace, where, question.folders)
    by_path = {file.path: file for file in listed}
    taken = question.known.paths | domains.used.keys() | {path for found in domains.ours for path in found.files}
    things = [_machine(found, by_path) for found in domains.ours]
    things += _files_alone([file for file in listed if file.path not in taken])
    things = [thing for thing in things if not question.known.has(thing)][:MOST_THINGS]
    _read_heads(question, things)
    return Seen([thing for thing in things if _is_ours(thing)], by_path)


def _machine(found: Found, by_path: Mapping[str, FileDated]) -> Thing:
    there = [by_path[path] for path in found.files if path in by_path]
    return Thing(RemainsKind.MACHINE, found.name, there, domain=found)


def _files_alone(strangers: Sequence[FileDated]) -> list[Thing]:
    """Those that are called as ours are, each clone's and each version's together."""
    ours = [(file, own) for file in strangers if is_path(file.path) and (own := _own(basename(file.path)))]
    together = grouped(ours, lambda one: (dirname(one[0].path), one[1].stem)).values()
    return [_thing([file for file, _own in alike], alike[0][1]) for alike in together]


def _own(name: str) -> Named | None:
    return named(name) if is_name(name) else None


def _thing(alike: list[FileDated], own: Named) -> Thing:
    name = own.name if own.of == FileOf.CLONE else own.stem
    return Thing(_KINDS[own.of], name[: marks.LONGEST_NAME], alike, own=own)


def _read_heads(question: Question, things: Sequence[Thing]) -> None:
    """Note what bases of ours their disks stand on."""
    paths = [path for thing in things for path in thing.disks]
    heads = read_heads(question.workspace, question.target, paths, deadline=HEADS_SECONDS)
    for thing in things:
        for path in thing.disks:
            backing = image_headers.read(heads.get(path, b""), 0).backing_file or ""
            own = named(basename(backing))
            if own and own.version and dirname(backing) in question.folders:
                thing.stands_on.add(own.version)


def _is_ours(thing: Thing) -> bool:
    """A disk alone is known for a clone's by more than its name: it stands on a base of ours."""
    return thing.kind != RemainsKind.CLONE_FILES or not thing.disks or bool(thing.stands_on)
