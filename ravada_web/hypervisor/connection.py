"""Connections to a libvirt, each with a deadline."""

import os
import socket as sockets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import parse_qs, quote, urlsplit

import libvirt

from ravada_web.hypervisor.errors import HypervisorError, HypervisorUnreachable, libvirt_words, translated
from ravada_web.messages import message
from ravada_web.messages.foreign import whole

# Seconds between keepalives, and how many may be missed: an open connection to a hung libvirtd is freed in about 6 s.
KEEPALIVE_SECONDS, KEEPALIVE_MISSED = 2, 2
# A libvirt that goes on to say that it lives, and never answers, is left after so long: a batch takes minutes.
MOST_SECONDS = 900.0


class _Loop:
    """libvirt's event loop, without which keepalives are not sent: one thread a process, a new one after a fork."""

    pid = 0


def _run_events() -> None:
    while True:
        with suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()


def _ensure_loop() -> None:
    if _Loop.pid == os.getpid():
        return
    _Loop.pid = os.getpid()
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_events, name="libvirt-events", daemon=True).start()


def socket_uri(socket: Path | str) -> str:
    """The URI of the libvirt behind a local socket."""
    return f"qemu+unix:///system?socket={quote(str(socket), safe='/')}"


@contextmanager
def open_connection(uri: str, *, deadline: float = 4.0, within: float = MOST_SECONDS) -> Iterator[libvirt.virConnect]:
    """A connection, closed at the block's end. Raises HypervisorUnreachable after at most `deadline` seconds, and in
    the block once that takes more than `within` seconds: then it is cut, whatever call waits for an answer.

    Opening can hang in C for ever (a stopped libvirtd accepts and never answers), where no exception reaches it.
    So it is done in a daemon thread that is left behind at the deadline; jobs run in processes of their own that
    end without waiting for it. libvirt's errors inside the block leave it as HypervisorError.
    """
    _ensure_loop()
    connection = _open(uri, deadline)
    cut = threading.Event()
    limit = threading.Timer(within, _cut, (uri, cut))
    limit.daemon = True
    limit.start()
    try:
        with translated():
            yield connection
    except HypervisorError as error:
        if not cut.is_set():
            raise
        raise HypervisorUnreachable(message("hypervisor.no_answer", deadline_seconds=within), hangs=True) from error
    finally:
        limit.cancel()
        with suppress(libvirt.libvirtError):
            connection.close()


def _cut(uri: str, cut: threading.Event) -> None:
    """End this process's connections to a libvirt behind a local socket: libvirt itself has no way to give up a call.
    Of another one nothing is cut."""
    cut.set()
    cut_connections(uri)


def cut_connections(uri: str) -> None:
    """End this process's connections to the libvirt behind that local socket, also those that were never answered."""
    for path in parse_qs(urlsplit(uri).query).get("socket", []):
        cut_sockets(path)


def cut_sockets(path: str) -> None:
    """End all connections that this process has to a local socket."""
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError), sockets.socket(fileno=os.dup(whole(each.name))) as plug:
            if plug.getpeername() == path:
                plug.shutdown(sockets.SHUT_RDWR)


def _open(uri: str, deadline: float) -> libvirt.virConnect:
    results: SimpleQueue[libvirt.virConnect | libvirt.libvirtError] = SimpleQueue()
    threading.Thread(target=lambda: results.put(_try_to_open(uri)), daemon=True).start()
    try:
        result = results.get(timeout=deadline)
    except Empty:
        raise HypervisorUnreachable(message("hypervisor.no_answer", deadline_seconds=deadline), hangs=True) from None
    if isinstance(result, libvirt.libvirtError):
        raise HypervisorUnreachable(libvirt_words(result)) from result
    with suppress(libvirt.libvirtError):  # drivers without a wire have no keepalive
        result.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_MISSED)
    return result


def _try_to_open(uri: str) -> libvirt.virConnect | libvirt.libvirtError:
    try:
        return libvirt.open(uri)
    except libvirt.libvirtError as error:
        return error
