"""Which paths of this host the helper touches: those that its libvirt says are a pool's or a virtual machine's."""

import os
import pwd
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from posixpath import basename, dirname, normpath

import libvirt
import structlog

from ravada_web.helper.requests import Refused
from ravada_web.hypervisor.connection import cut_connections, open_connection
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.places import read_files, read_folders
from ravada_web.remote.verbs import Argument, Call, Kind, Place

log = structlog.get_logger()
# Libvirt is asked that often; and again, where a path is not among what it has said, at most that often.
KNOWN_SECONDS, AGAIN_SECONDS = 5.0, 0.5
LIBVIRT_SECONDS = 8.0
# Where packages put firmware and the like.
OFFERS = ("/usr", "/opt", "/var/lib/libvirt", "/run/libvirt")
# Where QEMU has the sockets of displays, each machine's in a folder of its own, and how they are called.
DISPLAYS = ("/var/lib/libvirt/qemu", "/run/libvirt/qemu")
DISPLAY = "vnc.sock"


@dataclass(frozen=True)
class Askers:
    """Who may ask: users, by their numbers. What one of them but root could have changed is not gone through."""

    uids: frozenset[int]
    gids: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        gids: set[int] = set()
        for uid in self.uids - {0}:
            with suppress(KeyError):
                known = pwd.getpwuid(uid)
                gids |= {*os.getgrouplist(known.pw_name, known.pw_gid)}
        object.__setattr__(self, "gids", frozenset(gids - {0}))

    def may_change(self, seen: os.stat_result, *, above: bool) -> bool:
        """Whether one of them can put something in this folder, or, `above` another one, take that away."""
        if seen.st_uid in self.uids - {0} or (seen.st_mode & stat.S_IWGRP and seen.st_gid in self.gids):
            return True
        return bool(seen.st_mode & stat.S_IWOTH and not (above and seen.st_mode & stat.S_ISVTX))


class _Known:
    """What libvirt says of one thing. Where it does not answer, what it said last holds: nothing changes without it."""

    def __init__(self, uri: str, read: Callable[[libvirt.virConnect], Sequence[str]]) -> None:
        self._uri, self._read = uri, read
        self._said: frozenset[str] = frozenset()
        self._moment = -AGAIN_SECONDS
        self._lock = threading.Lock()

    def said(self, suffices: Callable[[frozenset[str]], bool]) -> frozenset[str]:
        """What it has said, or says now, where that did not suffice."""
        if not suffices(self._said):
            with self._lock:
                if time.monotonic() - self._moment >= AGAIN_SECONDS and not suffices(self._said):
                    self.ask()
        return self._said

    def ask(self) -> None:
        """Have it say so now."""
        try:
            with open_connection(self._uri, within=LIBVIRT_SECONDS) as connection:
                self._said = frozenset(self._read(connection))
        except HypervisorError as error:
            cut_connections(self._uri)
            log.warning("libvirt does not say what it has", error=str(error))
        self._moment = time.monotonic()


class Places:
    """Asks the libvirt behind `uri`."""

    def __init__(self, uri: str, askers: Askers) -> None:
        self._askers = askers
        self._folders, self._files = _Known(uri, read_folders), _Known(uri, read_files)

    def refresh(self) -> None:
        """Ask libvirt for its pools: to be done every KNOWN_SECONDS, so that one that ended does not stay."""
        self._folders.ask()

    def checked(self, call: Call) -> Call:
        """The command with what it may touch; an optional path that it may not is left out. Raises Refused."""
        kept: list[Argument] = []
        for kind, argument in zip(call.verb.kinds(len(call.arguments)), call.arguments, strict=True):
            try:
                self._require(kind, argument)
            except Refused:
                if not kind.optional:
                    raise
            else:
                kept.append(argument)
        return call.verb(*kept)

    def _require(self, kind: Kind, argument: Argument) -> None:
        if kind.place is None:
            return
        path = str(argument)
        if normpath(path) != path or path.startswith("//"):
            raise Refused(f"not a plain path: {path!r}")
        match kind.place:
            case Place.DISPLAY:
                _require_display(path)
            case Place.OFFER if any(_is_below(path, folder) for folder in OFFERS):
                return
            case Place.IMAGE:
                self._require_image(path)
            case Place.FILE:
                self._require_in_pool(path)
            case Place.FOLDER | Place.OFFER:
                self._require_in_pool(path, or_pool=True)

    def _require_image(self, path: str) -> None:
        """What opens it follows no link, so only its folder's real place matters."""
        try:
            self._require_in_pool(path, follow=False)
        except Refused:
            if path not in self._files.said(lambda files: path in files):
                raise
            self._require_closed(path)

    def _require_in_pool(self, path: str, *, or_pool: bool = False, follow: bool = True) -> None:
        real = os.path.realpath(path) if follow else f"{os.path.realpath(dirname(path))}/{basename(path)}"

        def has(folder: str, place: str) -> bool:
            return _is_below(place, folder) or (or_pool and place == folder)

        folders = self._folders.said(lambda folders: any(has(folder, path) for folder in folders)) - {"/"}
        if not any(has(folder, path) for folder in folders):
            raise Refused(f"not in the folder of an active storage pool: {path!r}")
        if not any(has(os.path.realpath(folder), real) for folder in folders):
            raise Refused(f"a link leads out of the storage pools: {path!r}")
        self._require_closed(path if path not in folders else f"{path}/")

    def _require_closed(self, path: str) -> None:
        """Refuse a path on which an asker could put a link between this look and the command's."""
        for folder in {dirname(path), os.path.realpath(dirname(path))}:
            for above, place in enumerate(_upwards(folder)):
                try:
                    seen = os.lstat(place)
                except FileNotFoundError:
                    continue
                if self._askers.may_change(seen, above=above > 0):
                    raise Refused(
                        f"others than root may write to {place!r}: chmod go-w, or chown root, for this folder"
                    )


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _upwards(folder: str) -> Iterator[str]:
    while True:
        yield folder
        if folder == "/":
            return
        folder = dirname(folder)


def _require_display(path: str) -> None:
    if basename(path) != DISPLAY or dirname(dirname(path)) not in DISPLAYS:
        raise Refused(f"not the socket of a display: {path!r}")
