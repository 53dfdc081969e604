"""Consoles: a browser's WebSocket joined to a clone's display. Bytes pass as they come, with no copy kept."""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus

import structlog
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from ravada_web.gateway.http import Head, answer
from ravada_web.gateway.hub import Hub
from ravada_web.gateway.proxy import Caller
from ravada_web.gateway.rfb import LookOn, NotRfb
from ravada_web.gateway.rows import Rows
from ravada_web.gateway.visitor import from_our_page, token
from ravada_web.services import consoles, displays
from ravada_web.services.console_causes import CODES, Cause
from ravada_web.services.consoles import ConsoleRefused, Grant
from ravada_web.services.displays import Display

log = structlog.get_logger()
PATH = "/console/stream"
CHUNK = 64 * 1024
# What a browser sends at once: keys and pointers, now and then a clipboard.
LONGEST_MESSAGE = 1 << 20
GREETING_SECONDS = 3.0
# A start is told of as it ends; without Redis it is looked for so often.
LOOK_AGAIN_SECONDS = 1.0
PING_SECONDS, SILENT_SECONDS = 20.0, 60.0
# After this many bytes that a browser has not taken, we wait before reading more of the display.
UNSENT_BYTES = 256 * 1024
# A display that nobody looks at is let go after a while: who reloads a page is back within it.
KEPT_SECONDS = 15.0


class Closed(Exception):
    """The console ends; `cause` is told to the browser."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause = cause


class Browser:
    """The browser's end: WebSocket frames over the connection's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = ServerProtocol(subprotocols=[Subprotocol("binary")], max_size=LONGEST_MESSAGE)
        self.heard = asyncio.get_running_loop().time()
        writer.transport.set_write_buffer_limits(high=UNSENT_BYTES)

    async def shake_hands(self, head: Head) -> bool:
        """Answer the handshake; False where it was none."""
        self._protocol.receive_data(head.raw)
        with suppress(ProtocolError):
            for event in self._protocol.events_received():
                if isinstance(event, Request):
                    self._protocol.send_response(self._protocol.accept(event))
        await self._flush()
        return self._protocol.state is State.OPEN

    async def read(self) -> bytes:
        """What the browser sent, at least one byte. Raises Closed when it has left."""
        while True:
            raw = await self._reader.read(CHUNK)
            self.heard = asyncio.get_running_loop().time()
            if raw:
                self._protocol.receive_data(raw)
            else:
                self._protocol.receive_eof()
            data = b"".join(self._data())
            await self._flush()
            if data:
                return data
            if not raw or self._protocol.state is not State.OPEN:
                raise Closed(Cause.LEFT)

    def _data(self) -> Iterable[bytes]:
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
                yield bytes(event.data)

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the browser does not take them. Raises Closed when it has left."""
        if self._protocol.state is not State.OPEN:
            raise Closed(Cause.LEFT)
        self._protocol.send_binary(data)
        await self._flush()

    async def ping(self) -> None:
        """Ask whether it is still there, without waiting for it."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._writer.writelines(self._protocol.data_to_send())

    async def close(self, cause: Cause) -> None:
        """Say why, and be done."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CODES[cause], cause)
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._flush(), 1)

    async def _flush(self) -> None:
        for part in self._protocol.data_to_send():
            if part:
                self._writer.write(part)
            elif self._writer.can_write_eof():
                self._writer.write_eof()
        await self._writer.drain()


class Consoles:
    """All open consoles of this gateway. `check` closes those that may not stay, `ping` those that are silent."""

    def __init__(self, rows: Rows, hub: Hub) -> None:
        self._rows = rows
        self._hub = hub
        self._open: dict[int, tuple[asyncio.Task[None], Browser]] = {}
        self._causes: dict[int, Cause] = {}
        self._displays: dict[str, int] = {}
        self.name = socket.gethostname()

    async def begin(self) -> None:
        """Put away what a former process left."""
        await self._rows.run(consoles.close_left_open, self.name)
        await self._rows.run(displays.sweep)

    async def serve(
        self, head: Head, caller: Caller, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One console, from its handshake to its end."""
        if not from_our_page(head, caller):
            await answer(writer, HTTPStatus.FORBIDDEN, "Consoles open from this site's own pages alone.")
            return
        browser = Browser(reader, writer)
        if not await browser.shake_hands(head):
            return
        try:
            await self._admit(browser, head, caller)
        except (ConsoleRefused, Closed) as end:
            await browser.close(end.cause)

    async def _admit(self, browser: Browser, head: Head, caller: Caller) -> None:
        grant = await self._rows.run_for(
            caller.address, consoles.redeem, _ticket(head), token(self._rows.app, head), self.name
        )
        self._close(grant.takes_over, Cause.TAKEN_OVER)
        task = asyncio.create_task(self._join(browser, grant))
        self._open[grant.console_id] = (task, browser)
        cause = Cause.LEFT
        try:
            await asyncio.wait({task})
            cause = self._how_it_ended(task, grant.console_id)
            raise Closed(cause)
        finally:
            task.cancel()
            del self._open[grant.console_id]
            self._causes.pop(grant.console_id, None)
            await asyncio.shield(self._rows.run_for(caller.address, consoles.ended, grant.console_id, cause))

    def _how_it_ended(self, task: "asyncio.Task[None]", console_id: int) -> Cause:
        if task.cancelled():
            return self._causes.get(console_id, Cause.SHUTDOWN)
        error = task.exception()
        if isinstance(error, (Closed, ConsoleRefused)):
            return error.cause
        if error is not None and not isinstance(error, (OSError, ProtocolError, NotRfb)):
            log.error("console", error=repr(error))
        return Cause.LEFT

    async def _join(self, browser: Browser, grant: Grant) -> None:
        display, greeting, reader, writer = await self._reach(grant)
        self._displays[display.remote] = self._displays.get(display.remote, 0) + 1
        there = asyncio.create_task(_to_display(browser, writer, LookOn() if grant.view_only else None))
        try:
            back = asyncio.create_task(_to_browser(greeting, reader, browser))
            try:
                done, _pending = await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
                raise Closed(await self._rows.run(displays.lost_as, grant.clone_id))
            finally:
                back.cancel()
        finally:
            there.cancel()
            writer.close()
            asyncio.get_running_loop().call_later(KEPT_SECONDS, self._let_go, display)

    async def _reach(self, grant: Grant) -> tuple[Display, bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        """The display and its greeting, by which it is known to live; moved since, libvirt is asked."""
        for ask in (False, True):
            display = await self._wait_for(grant.clone_id, ask)
            try:
                reader, writer = await asyncio.open_unix_connection(str(display.local), limit=CHUNK)
            except OSError:
                continue
            with suppress(TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                greeting = await asyncio.wait_for(reader.readexactly(12), GREETING_SECONDS)
                if greeting.startswith(b"RFB "):
                    return display, greeting, reader, writer
            writer.close()
        raise Closed(Cause.UNREACHABLE)

    async def _wait_for(self, clone_id: int, ask: bool) -> Display:
        """The clone's display; where it is just being started, once it is there."""
        changed = asyncio.Event()
        self._hub.wakers.add(changed.set)
        try:
            while True:
                changed.clear()
                display = await self._rows.run(displays.open_for, clone_id, ask)
                if display is not None:
                    return display
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), LOOK_AGAIN_SECONDS)
        finally:
            self._hub.wakers.discard(changed.set)

    def _let_go(self, display: Display) -> None:
        self._displays[display.remote] -= 1
        if not self._displays[display.remote]:
            del self._displays[display.remote]
            self._closing = asyncio.ensure_future(self._rows.run(displays.close, display))

    def _close(self, console_ids: Iterable[int], cause: Cause) -> None:
        for console_id in console_ids:
            if console_id in self._open:
                self._causes[console_id] = cause
                self._open[console_id][0].cancel()

    async def check(self) -> None:
        """Close the consoles whose right, sign-in or clone is gone."""
        if self._open:
            for console_id, cause in (await self._rows.run(consoles.to_close, list(self._open))).items():
                self._close([console_id], cause)

    async def ping(self) -> None:
        """Ask all browsers whether they are there; give up those that have been silent."""
        moment = asyncio.get_running_loop().time()
        for console_id, (_task, browser) in list(self._open.items()):
            if moment - browser.heard > SILENT_SECONDS:
                self._close([console_id], Cause.SILENT)
            else:
                with suppress(OSError):
                    await browser.ping()

    async def close(self) -> None:
        """Tell all browsers that the gateway goes; they come back by themselves."""
        self._close(list(self._open), Cause.SHUTDOWN)


def _ticket(head: Head) -> str:
    """The ticket travels as a subprotocol: an address would be written into logs."""
    offered = [word.strip() for word in head.get("sec-websocket-protocol").split(",")]
    return next((word.removeprefix("ticket.") for word in offered if word.startswith("ticket.")), "")


async def _to_display(browser: Browser, writer: asyncio.StreamWriter, only_look: LookOn | None) -> None:
    while True:
        data = await browser.read()
        writer.write(only_look.filter(data) if only_look else data)
        await writer.drain()


async def _to_browser(greeting: bytes, reader: asyncio.StreamReader, browser: Browser) -> None:
    """Until the display closes."""
    await browser.write(greeting)
    while data := await reader.read(CHUNK):
        await browser.write(data)
