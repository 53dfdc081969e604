"""Passing requests on to the web process, one connection each; a web process that restarts is waited for."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from ravada_web.gateway.http import HOP, BadRequest, Head, answer, read_head
from ravada_web.gateway.turns import Turns

CHUNK = 64 * 1024
# How long a restart of the web process may take before visitors get an error.
RESTART_SECONDS = 10.0
ANSWER_SECONDS = 120.0
# Requests of one address at once, each with at most 4 MiB on its way in or 1 MiB on its way out. A hundred people
# behind one address still get their turn: a page takes a few milliseconds.
MOST_OF_ADDRESS = 32
TURN_SECONDS = 10.0
BODY_SECONDS = 60.0
# More than any page or file of ours (the stylesheet, uncompressed, is 540 kB): a longer answer, an export, goes at the
# browser's pace, as long as it has one.
AHEAD_BYTES = 1 << 20
STALLED_SECONDS = 30.0
# Only we set the client's address: what a browser claims is dropped.
CLAIMS = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix"}


@dataclass(frozen=True)
class Caller:
    """The client: the browser's address, and its scheme ("https" or "http")."""

    address: str
    scheme: str


class Pages:
    """The web process behind us. It has few threads, one a request: none of them ever waits for a slow browser.

    So a request is whole before it is passed on, an answer is taken off the web's hands as fast as it comes, and the
    next one of that connection is asked for when it is out. What that takes of memory is bounded for each address.
    """

    def __init__(self, web: Path) -> None:
        self._web = web
        self._turns = Turns(MOST_OF_ADDRESS, TURN_SECONDS)

    async def pass_on(
        self, head: Head, caller: Caller, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Have one request answered. Returns whether the browser's connection can serve another one."""
        length = head.length()
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._turns.turn(caller.address))
            except TimeoutError:
                await _unavailable(writer, "Too many requests from your address. Try again in a moment.")
                return False
            body = await _read_body(head, length, reader, writer)
            keep_alive = await self._forward(head, caller, body, writer)
            await _sent(writer)
            return keep_alive

    async def _forward(self, head: Head, caller: Caller, body: bytes, writer: asyncio.StreamWriter) -> bool:
        try:
            up_reader, up_writer = await _connect(self._web)
        except OSError:
            await _unavailable(writer, "The web server is not running. Try again in a moment.")
            return False
        try:
            added = (("X-Forwarded-For", caller.address), ("X-Forwarded-Proto", caller.scheme), ("Connection", "close"))
            up_writer.write(head.written(HOP | CLAIMS | {"expect"}, added) + body)
            keep_alive = head.words[2] == "HTTP/1.1" and "close" not in head.get("connection").lower()
            return await _copy_response(head, up_reader, writer, keep_alive) and keep_alive
        finally:
            up_writer.close()


async def _connect(web: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    end = time.monotonic() + RESTART_SECONDS
    while True:
        try:
            return await asyncio.open_unix_connection(str(web), limit=CHUNK)
        except OSError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


async def _unavailable(writer: asyncio.StreamWriter, text: str) -> None:
    await answer(writer, HTTPStatus.SERVICE_UNAVAILABLE, text, (("Retry-After", "5"),))


async def _read_body(head: Head, length: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The whole body. Raises BadRequest where it does not come in time."""
    if length and head.get("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        return await asyncio.wait_for(reader.readexactly(length), BODY_SECONDS)
    except TimeoutError:
        raise BadRequest("The request took too long.", HTTPStatus.REQUEST_TIMEOUT) from None
    except asyncio.IncompleteReadError:
        raise ConnectionResetError from None


async def _copy_response(
    request: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep_alive: bool
) -> bool:
    """Copy the response; True when it was complete and the browser can see where it ended."""
    head = await read_head(reader, ANSWER_SECONDS)
    if head is None:
        await answer(writer, HTTPStatus.BAD_GATEWAY, "The web server closed the connection. Try again.")
        return False
    bodiless = request.words[0] == "HEAD" or head.words[1] in ("204", "304")
    chunked, length = head.get("transfer-encoding").lower() == "chunked", head.get("content-length")
    framed = bodiless or chunked or length.isdecimal()
    connection = () if keep_alive and framed else (("Connection", "close"),)
    writer.write(head.written({"connection", "keep-alive"}, connection))
    writer.transport.set_write_buffer_limits(high=AHEAD_BYTES)
    copied, tail = 0, b""
    while part := await reader.read(CHUNK):
        copied, tail = copied + len(part), (tail + part)[-5:]
        writer.write(part)
        await _drain(writer)
    whole = bodiless or (tail == b"0\r\n\r\n" if chunked else copied == int(length) if length.isdecimal() else True)
    if not whole:
        writer.transport.abort()  # never let half an answer pass for a whole one
    return whole and framed


async def _sent(writer: asyncio.StreamWriter) -> None:
    """Wait until all is out. Raises TimeoutError when the browser takes nothing for long."""
    writer.transport.set_write_buffer_limits(high=1, low=0)
    await _drain(writer)


async def _drain(writer: asyncio.StreamWriter) -> None:
    """Wait while much is unsent. Raises TimeoutError when the browser takes nothing for long."""
    await asyncio.wait_for(writer.drain(), STALLED_SECONDS)
