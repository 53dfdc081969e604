"""Consoles: a browser's WebSocket joined to a clone's display. Bytes pass as they come, with no copy kept."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from websockets.exceptions import ProtocolError

from ravada_web.errors import RavadaError
from ravada_web.gateway.browser import Browser, Closed
from ravada_web.gateway.http import Head, answer
from ravada_web.gateway.hub import Hub
from ravada_web.gateway.proxy import Caller
from ravada_web.gateway.rfb import NotRfb, ViewOnly
from ravada_web.gateway.rows import Rows
from ravada_web.gateway.visitor import from_our_page, token
from ravada_web.guard import guarded
from ravada_web.messages import Message
from ravada_web.services.consoles import display_requests, open_consoles, tickets
from ravada_web.services.consoles.causes import Cause
from ravada_web.services.consoles.tickets import ConsoleRefused, Grant

log = structlog.get_logger()
Known = TypeVar("Known")
Reached = tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]
PATH = "/console/stream"
CHUNK = 64 * 1024
GREETING_SECONDS = 3.0
# The end of a start is published; without Redis it is polled this often.
RETRY_SECONDS = 1.0
# Between the end of a display and its clone's move in the database: a desktop that moves while it runs.
BETWEEN_SECONDS = 10.0
PING_SECONDS, SILENT_SECONDS = 20.0, 60.0


def _unwritable(_reason: Message) -> None:
    """The row of a closed console that cannot be written stays as it is; the others are closed all the same."""


class Consoles:
    """All open consoles of this gateway. `check` closes those that may not stay, `ping` those that are silent."""

    def __init__(self, rows: Rows, reach: Rows, checks: Rows, hub: Hub) -> None:
        self._rows = rows
        self._reach_rows = reach
        self._checks = checks
        self._hub = hub
        self._open: dict[int, tuple[asyncio.Task[None], Browser]] = {}
        self._causes: dict[int, Cause] = {}
        self._unwritten: dict[int, tuple[str, Cause]] = {}
        self.name = socket.gethostname()

    async def begin(self) -> None:
        """Clean up after a former process."""
        await self._rows.run(open_consoles.close_left_open, self.name)

    async def serve(
        self, head: Head, caller: Caller, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One console, from its handshake to its end."""
        if not from_our_page(head, caller):
            await answer(writer, HTTPStatus.FORBIDDEN, "Consoles can only be opened from this site.")
            return
        browser = Browser(reader, writer)
        if not await browser.shake_hands(head):
            return
        try:
            await self._admit(browser, head, caller)
        except ConsoleRefused as refused:
            await browser.close(refused.cause)
        except (RavadaError, SQLAlchemyError) as error:
            log.warning("console not opened", error=str(error))
            await browser.close(Cause.BROKEN)

    async def _admit(self, browser: Browser, head: Head, caller: Caller) -> None:
        grant = await self._rows.run_for(
            caller.address, tickets.redeem, _ticket(head), token(self._rows.app, head), self.name
        )
        self._close(grant.takes_over, Cause.TAKEN_OVER)
        task = asyncio.create_task(self._join(browser, grant))
        self._open[grant.console_id] = (task, browser)
        cause = Cause.LEFT
        try:
            await asyncio.wait({task})
            cause = self._end_cause(task, grant.console_id)
            await browser.close(cause)
        finally:
            task.cancel()
            del self._open[grant.console_id]
            self._causes.pop(grant.console_id, None)
            await asyncio.shield(self._write_end(caller.address, grant.console_id, cause))

    async def _write_end(self, address: str, console_id: int, cause: Cause) -> None:
        """Record a console's end; while the database is away, `check` does it later."""
        try:
            await self._rows.run_for(address, open_consoles.ended, console_id, cause)
        except (RavadaError, SQLAlchemyError) as error:
            log.warning("console's end not written, trying again", console=console_id, error=str(error))
            self._unwritten[console_id] = (address, cause)

    def _end_cause(self, task: "asyncio.Task[None]", console_id: int) -> Cause:
        if task.cancelled():
            return self._causes.get(console_id, Cause.SHUTDOWN)
        error = task.exception()
        if isinstance(error, (Closed, ConsoleRefused)):
            return error.cause
        if isinstance(error, (OSError, ProtocolError, NotRfb)):
            return Cause.LEFT
        log.error("console", error=repr(error))
        return Cause.BROKEN

    async def _join(self, browser: Browser, grant: Grant) -> None:
        """Until one of both ends closes. Raises Closed, or what broke the browser's end."""
        first = asyncio.create_task(browser.read())
        try:
            greeting, reader, writer = await self._reach_before(first, grant)
        except BaseException:
            first.cancel()
            raise
        upstream = asyncio.create_task(_to_display(first, browser, writer, ViewOnly() if grant.view_only else None))
        downstream = asyncio.create_task(_to_browser(greeting, reader, browser))
        try:
            done, _pending = await asyncio.wait({upstream, downstream}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
            raise Closed(await self._lost_as(grant))
        finally:
            first.cancel()
            upstream.cancel()
            downstream.cancel()
            writer.close()

    async def _reach_before(self, first: "asyncio.Task[bytes]", grant: Grant) -> Reached:
        """Reach the display while the browser is listened to: it may leave, and it speaks only when greeted."""
        reach = asyncio.create_task(self._reach(grant))
        try:
            await asyncio.wait({reach, first}, return_when=asyncio.FIRST_COMPLETED)
            if reach.done():
                return reach.result()
            first.result()
            raise Closed(Cause.LEFT)
        finally:
            reach.cancel()

    async def _reach(self, grant: Grant) -> Reached:
        """The display and its greeting, which shows that it lives; libvirt is queried where it has moved."""
        for fresh in (False, True):
            try:
                display = await self._known(partial(display_requests.open_for, grant.clone_id, fresh))
            except ConnectionError:
                continue
            reader, writer = await asyncio.open_unix_connection(sock=display, limit=CHUNK)
            greeting = b""
            try:
                with suppress(TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                    greeting = await asyncio.wait_for(reader.readexactly(12), GREETING_SECONDS)
                if greeting.startswith(b"RFB "):
                    return greeting, reader, writer
            finally:
                if not greeting.startswith(b"RFB "):
                    writer.close()
        raise Closed(Cause.UNREACHABLE)

    async def _lost_as(self, grant: Grant) -> Cause:
        """Why the display has closed. Between two nodes the last picture stays until the other one has the clone."""
        try:
            async with asyncio.timeout(BETWEEN_SECONDS):
                return await self._known(partial(display_requests.lost_as, grant.clone_id, grant.node_id))
        except TimeoutError:
            return Cause.STOPPED

    async def _known(self, ask: Callable[[], Known | None]) -> Known:
        """The answer to a question about a clone, once there is one: it is asked again after each change."""
        changed = asyncio.Event()
        self._hub.wakers.add(changed.set)
        try:
            while True:
                changed.clear()
                found = await self._reach_rows.run(ask)
                if found is not None:
                    return found
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), RETRY_SECONDS)
        finally:
            self._hub.wakers.discard(changed.set)

    def _close(self, console_ids: Iterable[int], cause: Cause) -> None:
        for console_id in console_ids:
            if console_id in self._open:
                self._causes[console_id] = cause
                self._open[console_id][0].cancel()

    async def check(self) -> None:
        """Close the consoles whose right, session or clone is gone."""
        for console_id, (address, ended_as) in list(self._unwritten.items()):
            with guarded(_unwritable, console=console_id):
                await self._checks.run_for(address, open_consoles.ended, console_id, ended_as)
            del self._unwritten[console_id]
        if self._open:
            for console_id, cause in (await self._checks.run(open_consoles.to_close, list(self._open))).items():
                self._close([console_id], cause)

    async def ping(self) -> None:
        """Ping all browsers; close those that have been silent."""
        moment = asyncio.get_running_loop().time()
        for console_id, (_task, browser) in list(self._open.items()):
            if moment - browser.heard > SILENT_SECONDS:
                self._close([console_id], Cause.SILENT)
            else:
                with suppress(OSError):
                    await browser.ping()

    async def close(self) -> None:
        """Close all consoles because the gateway stops; browsers reconnect by themselves."""
        self._close(list(self._open), Cause.SHUTDOWN)


def _ticket(head: Head) -> str:
    """The ticket travels as a subprotocol: an address would be written into logs."""
    offered = [word.strip() for word in head.get("sec-websocket-protocol").split(",")]
    return next((word.removeprefix("ticket.") for word in offered if word.startswith("ticket.")), "")


async def _to_display(
    first: "asyncio.Task[bytes]", browser: Browser, writer: asyncio.StreamWriter, view_only: ViewOnly | None
) -> None:
    """What the browser says, from its first words on, until the display takes no more. Raises what ends the browser."""
    data = await first
    while True:
        writer.write(view_only.filter(data) if view_only else data)
        try:
            await writer.drain()
        except OSError:
            return
        data = await browser.read()


async def _to_browser(greeting: bytes, reader: asyncio.StreamReader, browser: Browser) -> None:
    """What the display shows, until it closes, or dies. Raises what ends the browser."""
    await browser.write(greeting)
    while data := await _seen(reader):
        await browser.write(data)


async def _seen(reader: asyncio.StreamReader) -> bytes:
    """The display's next bytes; none when it is gone: one that dies while the mouse moves resets the connection."""
    try:
        return await reader.read(CHUNK)
    except OSError:
        return b""
