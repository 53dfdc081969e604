"""Taking in connections: a few at a time, so that a rush of them delays nobody who is here, each counted at once."""

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from ravada_web.gateway.crowd import Crowd, Place

log = structlog.get_logger()
AT_ONCE = 8
BACKLOG = 4096
HANDSHAKE_SECONDS = 10.0
RETRY_SECONDS = 1.0
# What the kernel says of a connection that has gone before it was taken, or that it cannot give us now.
GONE = {errno.EAGAIN, errno.EINTR, errno.ECONNABORTED, errno.EPROTO}
# Of the files that we may have open, those that no visitor takes; each visitor may take two: itself, and what it is
# joined to, a page's process or a display.
OWN_FILES = 256
MOST = 20_000
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Place], Awaitable[None]]


def most_connections() -> int:
    """How many visitors there may be at once, by the limit of open files."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(64, min(MOST, (soft - OWN_FILES) // 2))


@dataclass(frozen=True)
class Door:
    """Where visitors come in: the listening sockets, and what HTTPS is served with."""

    sockets: Sequence[socket.socket]
    context: ssl.SSLContext | None


def bound(host: str, port: int) -> list[socket.socket]:
    """The listening sockets of all addresses of the host. Raises OSError where one cannot be had."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets = []
    for family, address in dict.fromkeys((info[0], info[4]) for info in found):
        sockets.append(socket.create_server(address, family=family, backlog=BACKLOG))
        sockets[-1].setblocking(False)
    return sockets


class Listener:
    """The listening sockets. `counted` says which address a peer's connection is counted with ("" for a proxy's)."""

    def __init__(self, crowd: Crowd, serve: Serve, counted: Callable[[str], str], longest_head: int) -> None:
        self._crowd = crowd
        self._serve = serve
        self._counted = counted
        self._longest_head = longest_head
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._context: ssl.SSLContext | None = None

    def listen(self, door: Door) -> None:
        """Begin."""
        self._context = door.context
        self._sockets = list(door.sockets)
        for listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Take in no more; who is here stays."""
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self._sockets.clear()

    def _accept(self, listening: socket.socket) -> None:
        for _number in range(AT_ONCE):
            try:
                plug, peer = listening.accept()
            except OSError as error:
                if error.errno not in GONE:
                    log.warning("connections cannot be taken in, trying again", error=str(error))
                    self._pause(listening)
                return
            self._take_in(plug, str(peer[0]))

    def _pause(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(RETRY_SECONDS, self._go_on, listening)

    def _go_on(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _take_in(self, plug: socket.socket, address: str) -> None:
        loop = asyncio.get_running_loop()
        task: asyncio.Task[None]
        # Not before the task has begun: one that never ran would leave its socket open.
        place = self._crowd.enter(self._counted(address), lambda: loop.call_soon(task.cancel))
        if place is None:
            plug.close()
            return
        task = loop.create_task(self._stay(plug, place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stay(self, plug: socket.socket, place: Place) -> None:
        """One connection, from its coming to its end."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(self._longest_head, loop)
        protocol = asyncio.StreamReaderProtocol(reader)
        handshake = HANDSHAKE_SECONDS if self._context else None
        try:
            with suppress(OSError, TimeoutError):
                transport, _protocol = await loop.connect_accepted_socket(
                    lambda: protocol, plug, ssl=self._context, ssl_handshake_timeout=handshake
                )
                await self._serve(reader, asyncio.StreamWriter(transport, protocol, reader, loop), place)
        finally:
            self._crowd.leave(place)
