"""Plain files and file systems of a node: sizes, room, lists, removal."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ravada_web.messages import message
from ravada_web.messages.foreign import LONGEST_PATH, MOST_BYTES, Nonsense, printable, whole
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed
from ravada_web.remote.reading import reading
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import FILE, FOLDER, IMAGE, SEEN, Kind, Place, Verb, known, matching, script

FILES_SECONDS = 60.0
# A path that is not there costs its own line, not the others'.
BLOCK = 512
# A list of files may take so many bytes, and have so many names: a pool of ours has some thousands.
MOST_LISTED, MOST_FILES = 32 << 20, 200_000
LONGEST_STAMP = 120
_DATED = re.compile(rb"(?<![^\0])([0-9]{1,20}) ([0-9]{1,20}) (-?[0-9]{1,20})[.0-9]* ([^\0]+)")
# The last moment that a row can have, in seconds since the epoch.
_LAST_MOMENT = 253_402_300_799
_ENTRY = re.compile(rb"(?<![^\0])([0-9]{1,20}) ([0-9]{1,20}) ([^\0]+)")
# Without a folder, find would list all that is there.
TREE = r'[ $# = 0 ] || find "$@" -xdev -maxdepth 6 -type f -printf "%s %b %p\0" 2>/dev/null || :'
# What may be called as files of ours are (storage/file_names.py), in the folders themselves.
OURS = r"""[ $# = 0 ] || find "$@" -maxdepth 1 -type f \( -name "*.*.qcow2" -o -name "*.nvram.fd" -o -name "ravada-*" \
    -o -name ".*.op-*.part" \) -printf "%s %b %T@ %p\0" 2>/dev/null || :"""
TEMPORARY = r'[ $# = 0 ] || find "$@" -maxdepth 1 -name ".*op-[0-9]*" -print0 2>/dev/null || :'
# A block's size, the blocks in all and those that are free to use: by GNU's stat and busybox's alike.
ROOM = "stat -f -c room=%S=%b=%a=%n --"
# In a time zone of its own: a host may be given another one.
STAT = 'TZ=UTC0 stat -L -c "file %s %i %y %n" -- "$@" 2>/dev/null || :'
# What an attempt of an operation has begun: ".FILE.op-ID-ATTEMPT.part", or the folder ".op-ID-ATTEMPT.XXXXXXXX".
LEFTOVER = re.compile(r"/(?:.*/)?\.(?:[^/]+\.)?op-(\d+)-(\d+)\.(?:part|[A-Za-z0-9]{8})", re.DOTALL)

SIZE = known(Verb("size", ("stat", "-L", "-c", "%s", "--", IMAGE)))
REMOVE = known(Verb("remove", ("rm", "-f", "--"), each=FILE))
LIST = known(Verb("list", ("find", FOLDER, "-maxdepth", "1", "-type", "f", "-printf", r"%s %b %f\0")))
LIST_TREE = script("list_tree", TREE, each=SEEN)
SYNC = known(Verb("sync", ("sync", "--"), each=FILE))
MAKE_FOLDER = known(Verb("make_folder", ("mkdir", "-p", "-m", "700", "--", FOLDER)))
LIST_OURS = script("list_ours", OURS, each=SEEN)
LIST_TEMPORARY = script("list_temporary", TEMPORARY, each=SEEN)
REMOVE_LEFTOVERS = known(Verb("remove_leftovers", ("rm", "-rf", "--"), each=Kind(matching(LEFTOVER), Place.FILE)))
STATES = script("states", STAT, each=SEEN)
MEASURE_ROOM = known(Verb("room", tuple(ROOM.split()), each=SEEN))


def file_size(workspace: Workspace, target: Target, path: str, deadline: float = FILES_SECONDS) -> int:
    """The file's length in bytes. Raises CommandFailed where it is missing."""
    raw = run(workspace, target, SIZE(path), deadline=deadline)
    with reading(target.name, "stat"):
        return whole(raw.strip())


def sync_files(workspace: Workspace, target: Target, paths: Sequence[str], deadline: float = FILES_SECONDS) -> None:
    """Have what was written to these files be on disk, so that the host's power may fail. Raises what `run` raises."""
    if paths:
        run(workspace, target, SYNC(*paths), deadline=deadline, step="sync")


def make_folder(workspace: Workspace, target: Target, path: str) -> None:
    """Make a folder for its owner alone; one that is there stays as it is."""
    run(workspace, target, MAKE_FOLDER(path), deadline=FILES_SECONDS)


def remove_files(workspace: Workspace, target: Target, paths: Sequence[str], deadline: float = FILES_SECONDS) -> None:
    """Delete these files; those that are missing are fine. Raises CommandFailed where one cannot go."""
    if paths:
        run(workspace, target, REMOVE(*paths), deadline=deadline)


def list_files(
    workspace: Workspace, target: Target, directory: str, prefix: str = "", deadline: float = FILES_SECONDS
) -> list[tuple[str, int]]:
    """The plain files of a folder whose names begin with `prefix`: (name, bytes), by name."""
    raw = run(workspace, target, LIST(directory), deadline=deadline, most=MOST_LISTED)
    with reading(target.name, "find"):
        return sorted((file.path, file.size) for file in parse_list(raw) if file.path.startswith(prefix))


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A plain file: its path (any bytes but NUL, surrogates for what is no UTF-8), its length and what it takes of
    the disk, in bytes."""

    path: str
    size: int
    allocated: int


def list_tree(workspace: Workspace, target: Target, directories: Sequence[str], deadline: float) -> list[FileSeen]:
    """The plain files in these folders and below, a few levels deep, of the same file systems; a folder that is not
    there has none. Raises what `run` raises."""
    if not directories:
        return []
    step = message("remote.step_list_pools")
    raw = run(workspace, target, LIST_TREE(*directories), deadline=deadline, step=step, most=MOST_LISTED)
    with reading(target.name, step):
        return list(parse_list(raw))


def parse_list(raw: bytes) -> Iterator[FileSeen]:
    """Read find's lines of "SIZE BLOCKS PATH", with a NUL between them; those that are none are passed over. Raises
    Nonsense for more files than a pool has, and for a file larger than any."""
    for number, entry in enumerate(_ENTRY.finditer(raw)):
        if number == MOST_FILES or len(entry[3]) > LONGEST_PATH:
            raise Nonsense("more, or with longer names, than there are")
        yield FileSeen(os.fsdecode(entry[3]), whole(entry[1]), whole(entry[2], MOST_BYTES // BLOCK) * BLOCK)


@dataclass(frozen=True, slots=True)
class FileDated:
    """A plain file: its path, its length and what it takes of the disk, in bytes, and when it was last written to, in
    seconds since the epoch by the node's clock."""

    path: str
    size: int
    allocated: int
    written: int


def list_ours(
    workspace: Workspace, target: Target, directories: Sequence[str], deadline: float = FILES_SECONDS
) -> list[FileDated]:
    """The plain files in these folders, not below, that may be called as ours are, by path; a folder that is not there
    has none. Raises what `run` raises."""
    step = message("remote.step_list_pools")
    raw = run(workspace, target, LIST_OURS(*directories), deadline=deadline, step=step, most=MOST_LISTED)
    with reading(target.name, step):
        return sorted(parse_dated(raw), key=lambda file: file.path)


def parse_dated(raw: bytes) -> Iterator[FileDated]:
    """Read find's lines of "SIZE BLOCKS SECONDS PATH" as `parse_list` does; no moment is one that a row cannot have."""
    for number, entry in enumerate(_DATED.finditer(raw)):
        if number == MOST_FILES or len(entry[4]) > LONGEST_PATH:
            raise Nonsense("more, or with longer names, than there are")
        written = 0 if entry[3].startswith(b"-") else min(whole(entry[3], 10**20), _LAST_MOMENT)
        allocated = whole(entry[2], MOST_BYTES // BLOCK) * BLOCK
        yield FileDated(os.fsdecode(entry[4]), whole(entry[1]), allocated, written)


def list_temporary(workspace: Workspace, target: Target, directories: Sequence[str]) -> list[str]:
    """The paths of what attempts of operations have begun in these folders: files and folders named after them."""
    step = message("remote.step_list_leftovers")
    raw = run(workspace, target, LIST_TEMPORARY(*directories), deadline=FILES_SECONDS, step=step)
    return [path for path in os.fsdecode(raw).split("\0") if path]


def remove_leftovers(workspace: Workspace, target: Target, paths: Sequence[str]) -> None:
    """Delete these files and folders, each a LEFTOVER; those that are missing are fine."""
    if paths:
        run(workspace, target, REMOVE_LEFTOVERS(*paths), deadline=FILES_SECONDS)


@dataclass(frozen=True)
class FileState:
    """A file as it stands: its length in bytes, and a stamp that differs once it was written to or replaced."""

    size: int
    stamp: str


def file_states(
    workspace: Workspace, target: Target, paths: Sequence[str], deadline: float = FILES_SECONDS
) -> dict[str, FileState]:
    """These files as they stand, by path; those that are missing are left out."""
    if not paths:
        return {}
    step = message("remote.step_look_at_files")
    raw = run(workspace, target, STATES(*paths), deadline=deadline, step=step)
    with reading(target.name, step):
        return parse_stat(raw)


def parse_stat(raw: bytes) -> dict[str, FileState]:
    """Read the lines of `STAT`; others are passed over."""
    # file SIZE INODE DATE TIME ZONE PATH
    rows = (line.split(" ", 6) for line in os.fsdecode(raw).split("\n") if line.startswith("file "))
    return {
        row[6]: FileState(whole(row[1]), printable(" ".join(row[1:5]))[:LONGEST_STAMP])
        for row in rows
        if len(row) == 7 and _is_size(row[1])
    }


def free_space(
    workspace: Workspace, target: Target, paths: Sequence[str], deadline: float = FILES_SECONDS
) -> dict[str, tuple[int, int]]:
    """The file systems of these paths: {path: (bytes in all, bytes free to use)}.

    Raises CommandFailed where one of them cannot be looked at, with what is said of it there.
    """
    raw = run(workspace, target, MEASURE_ROOM(*paths), deadline=deadline, step=message("remote.step_room"))
    sizes = parse_room(raw, paths)
    if missing := [path for path in paths if path not in sizes]:
        raise CommandFailed(target.name, message("remote.step_room"), 1, message("remote.no_folder", paths=missing))
    return sizes


def parse_room(raw: bytes, paths: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Read what ROOM says of these paths: {path: (bytes in all, bytes free to use)}; those of which it says nothing, or
    figures that no file system has, are passed over."""
    rooms = {}
    for path in paths:
        line = rb"^room=([0-9]{1,19})=([0-9]{1,19})=([0-9]{1,19})=" + re.escape(os.fsencode(path)) + rb"$"
        if found := re.search(line, raw, re.MULTILINE):
            with suppress(Nonsense):
                block, total, free = (whole(said) for said in found.groups())
                rooms[path] = (whole(block * total), whole(block * free))
    return rooms


def _is_size(word: str) -> bool:
    """Whether it is a number of bytes that a file may have."""
    try:
        return whole(word) >= 0
    except Nonsense:
        return False
