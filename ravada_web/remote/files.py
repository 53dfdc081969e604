"""Plain files and file systems of a node: sizes, room, lists, removal."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ravada_web.messages import message
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed, UnreadableAnswer
from ravada_web.remote.target import Target, Workspace, checked_path

FILES_SECONDS = 60.0
# A path that is not there costs its own line, not the others'.
BLOCK = 512
# A list of files may take so many bytes: about half a million names.
MOST_LISTED = 64 << 20
MOST_BYTES = 1 << 63
LONGEST_STAMP = 120
# Some network file systems claim EiB; figures are kept in MiB, up to 2 PiB.
MOST_KEPT = ((1 << 31) - 1) << 20
TREE = r'find "$@" -xdev -maxdepth 6 -type f -printf "%s %b %p\0" 2>/dev/null || :'
TEMPORARY = r'find "$@" -maxdepth 1 -name ".*op-[0-9]*" -print0 2>/dev/null || :'
# A block's size, the blocks in all and those that are free to use: by GNU's stat and busybox's alike.
ROOM = "stat -f -c room=%S=%b=%a=%n --"
# In a time zone of its own: a host may be given another one.
STAT = 'TZ=UTC0 stat -L -c "file %s %i %y %n" -- "$@" 2>/dev/null || :'


def file_size(workspace: Workspace, target: Target, path: str, deadline: float = FILES_SECONDS) -> int:
    """The file's length in bytes. Raises CommandFailed where it is missing."""
    raw = run(workspace, target, ["stat", "-L", "-c", "%s", "--", checked_path(path)], deadline=deadline)
    if not (size := raw.strip()).isdigit():
        raise UnreadableAnswer(message("remote.unreadable", step="stat", name=target.name))
    return int(size)


def remove_files(workspace: Workspace, target: Target, paths: Sequence[str], deadline: float = FILES_SECONDS) -> None:
    """Delete these files; those that are missing are fine. Raises CommandFailed where one cannot go."""
    if paths:
        run(workspace, target, ["rm", "-f", "--", *map(checked_path, paths)], deadline=deadline)


def list_files(
    workspace: Workspace, target: Target, directory: str, prefix: str = "", deadline: float = FILES_SECONDS
) -> list[tuple[str, int]]:
    """The plain files of a folder whose names begin with `prefix`: (name, bytes), by name."""
    find = ["find", checked_path(directory), "-maxdepth", "1", "-type", "f", "-printf", r"%s %f\0"]
    raw = run(workspace, target, find, deadline=deadline, most=MOST_LISTED).decode(errors="surrogateescape")
    entries = (entry.partition(" ") for entry in raw.split("\0") if entry)
    return sorted((name, int(size)) for size, _blank, name in entries if size.isdecimal() and name.startswith(prefix))


@dataclass(frozen=True)
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
    argv = ["sh", "-c", TREE, "sh", *map(checked_path, directories)]
    raw = run(workspace, target, argv, deadline=deadline, step=message("remote.step_list_pools"), most=MOST_LISTED)
    entries = (entry.split(" ", 2) for entry in raw.decode(errors="surrogateescape").split("\0"))
    return [
        FileSeen(words[2], int(words[0]), int(words[1]) * BLOCK)
        for words in entries
        if len(words) == 3 and words[0].isdecimal() and words[1].isdecimal()
    ]


def list_temporary(workspace: Workspace, target: Target, directories: Sequence[str]) -> list[str]:
    """The paths of what attempts of operations have begun in these folders: files and folders named after them."""
    argv = ["sh", "-c", TEMPORARY, "sh", *map(checked_path, directories)]
    step = message("remote.step_list_leftovers")
    raw = run(workspace, target, argv, deadline=FILES_SECONDS, step=step, most=MOST_LISTED)
    return [path for path in os.fsdecode(raw).split("\0") if path]


def remove_trees(workspace: Workspace, target: Target, paths: Sequence[str]) -> None:
    """Delete these files and folders; those that are missing are fine."""
    if paths:
        run(workspace, target, ["rm", "-rf", "--", *map(checked_path, paths)], deadline=FILES_SECONDS)


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
    argv = ["sh", "-c", STAT, "sh", *map(checked_path, paths)]
    raw = run(workspace, target, argv, deadline=deadline, step=message("remote.step_look_at_files"))
    return parse_stat(raw)


def parse_stat(raw: bytes) -> dict[str, FileState]:
    """Read the lines of `STAT`; others are passed over."""
    # file SIZE INODE DATE TIME ZONE PATH
    rows = (line.split(" ", 6) for line in os.fsdecode(raw).split("\n") if line.startswith("file "))
    return {
        row[6]: FileState(int(row[1]), " ".join(row[1:5])[:LONGEST_STAMP])
        for row in rows
        if len(row) == 7 and _is_size(os.fsencode(row[1]))
    }


def free_space(
    workspace: Workspace, target: Target, paths: Sequence[str], deadline: float = FILES_SECONDS
) -> dict[str, tuple[int, int]]:
    """The file systems of these paths: {path: (bytes in all, bytes free to use)}.

    Raises CommandFailed where one of them cannot be looked at, with what is said of it there.
    """
    argv = [*ROOM.split(), *map(checked_path, paths)]
    sizes = parse_room(run(workspace, target, argv, deadline=deadline, step=message("remote.step_room")), paths)
    if missing := [path for path in paths if path not in sizes]:
        raise CommandFailed(target.name, message("remote.step_room"), 1, message("remote.no_folder", paths=missing))
    return sizes


def parse_room(raw: bytes, paths: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Read what ROOM says of these paths: {path: (bytes in all, bytes free to use)}; those of which it says nothing, or
    figures that no file system has, are passed over."""
    rooms = {}
    for path in paths:
        line = rb"^room=(\d{1,19})=(\d{1,19})=(\d{1,19})=" + re.escape(os.fsencode(path)) + rb"$"
        if found := re.search(line, raw, re.MULTILINE):
            block, total, free = (int(word) for word in found.groups())
            if max(block * total, block * free) < MOST_BYTES:
                rooms[path] = (min(block * total, MOST_KEPT), min(block * free, MOST_KEPT))
    return rooms


def _is_size(word: bytes) -> bool:
    """Whether it is a number of bytes that a file system may have."""
    return word.isdigit() and len(word) <= 19 and int(word) < MOST_BYTES
