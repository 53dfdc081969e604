"""Connections to a libvirt, each with a deadline."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import quote

import libvirt

from ravada_web.hypervisor.errors import HypervisorUnreachable, libvirt_words, translated
from ravada_web.messages import message

# Seconds between keepalives, and how many may be missed: an open connection to a hung libvirtd is freed in about 6 s.
KEEPALIVE_SECONDS, KEEPALIVE_MISSED = 2, 2


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
def open_connection(uri: str, *, deadline: float = 4.0) -> Iterator[libvirt.virConnect]:
    """A connection, closed at the block's end. Raises HypervisorUnreachable after at most `deadline` seconds.

    Opening can hang in C for ever (a stopped libvirtd accepts and never answers), where no exception reaches it.
    So it is done in a daemon thread that is left behind at the deadline; jobs run in processes of their own that
    end without waiting for it. libvirt's errors inside the block leave it as HypervisorError.
    """
    _ensure_loop()
    connection = _open(uri, deadline)
    try:
        with translated():
            yield connection
    finally:
        with suppress(libvirt.libvirtError):
            connection.close()


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
