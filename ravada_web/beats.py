"""Beats: each process of a host says now and then that it goes on, in memory that their parent shares with all of them.

So it is known who stands still without the database, Redis or the disk. Moments are the monotonic clock's.
"""

import mmap
import os
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

PARENT = "parent"
# Who has not said so for this long stands still.
STILL_SECONDS = 10.0
# A place: the process's number, since when it runs, its last beat, whether it stands still. The first two are written
# by itself at its start, the third by itself, the last one by its parent: each writes what is its own alone.
_PLACE, _BEAT, _STILL = struct.Struct("=qddq"), struct.Struct("=d"), struct.Struct("=q")
_BEAT_AT, _STILL_AT = 16, 24


@dataclass(frozen=True)
class Process:
    """A process: since when it runs, when it beat last (0.0: never), and whether its parent finds that it stands still.
    `pid` is 0 before its first start."""

    name: str
    pid: int
    begun: float
    beat: float
    still: bool

    @property
    def silent_since(self) -> float:
        """Since when nothing was heard of it."""
        return max(self.begun, self.beat)


class Board:
    """The shared memory, a place a process; made before they are forked."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = (PARENT, *names)
        self._memory = mmap.mmap(-1, _PLACE.size * len(self._names))

    def begin(self, name: str) -> None:
        """This process is from now on the one of that name."""
        _PLACE.pack_into(self._memory, self._place(name), os.getpid(), time.monotonic(), 0.0, False)

    def beat(self, name: str) -> None:
        """The process of that name goes on."""
        _BEAT.pack_into(self._memory, self._place(name) + _BEAT_AT, time.monotonic())

    def mark(self, name: str, still: bool) -> None:
        """Say of the process of that name whether it stands still."""
        _STILL.pack_into(self._memory, self._place(name) + _STILL_AT, still)

    def process(self, name: str) -> Process:
        """The process of that name."""
        pid, begun, beat, still = _PLACE.unpack_from(self._memory, self._place(name))
        return Process(name, pid, begun, beat, bool(still))

    def _place(self, name: str) -> int:
        return _PLACE.size * self._names.index(name)

    def processes(self) -> list[Process]:
        """All of them. Where the parent stands still, none but itself can be judged."""
        parent, *others = map(self.process, self._names)
        still = time.monotonic() - parent.silent_since > STILL_SECONDS
        return [Process(PARENT, parent.pid, parent.begun, parent.beat, still), *others]


class _Here:
    """The board of this host and the name of this process, where a parent has forked it."""

    board: Board | None = None
    name = ""


def join(board: Board, name: str) -> None:
    """This process, and what it forks, beats from now on under that name."""
    _Here.board, _Here.name = board, name
    board.begin(name)


def beat() -> None:
    """This process goes on: its parent looks for that, or else systemd, where that has started it."""
    if _Here.board:
        _Here.board.beat(_Here.name)
    if _Here.name in ("", PARENT):
        _tell_systemd()


def _tell_systemd() -> None:
    """That this service is up, and goes on; see sd_notify(3). Whoever is not there to hear it is not waited for."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as door:
            # An "@" stands for the zero byte of an abstract address.
            door.sendto(b"READY=1\nWATCHDOG=1", address.replace("@", "\0", 1))


def processes() -> list[Process]:
    """The processes of this host; [] where this one was started alone."""
    return _Here.board.processes() if _Here.board else []
