"""Passing requests on to the web process, one connection each; a web process that restarts is waited for."""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO

from ravada_web.gateway.bodies import LARGEST_OF_GUEST, read_body, seconds_for
from ravada_web.gateway.crowd import Crowd, Place, Stage
from ravada_web.gateway.http import HOP, BadRequest, Head, answer, read_head
from ravada_web.gateway.turns import Turns

CHUNK = 64 * 1024
# How long a restart of the web process may take before visitors get an error.
RESTART_SECONDS = 10.0
ANSWER_SECONDS = 120.0
# Requests that the web works on at once: more than it has threads, so that it never waits for us; and those of one
# visitor. A hundred people behind one address still get their turn: a page takes a few milliseconds.
MOST_TURNS, TURNS_OF_ONE = 64, 32
TURN_SECONDS = 10.0
# More than any page or file of ours (the stylesheet, uncompressed, is 540 kB): a longer answer, an export, goes at the
# browser's pace, as long as it has one.
AHEAD_BYTES = 1 << 20
STALLED_SECONDS = 30.0
TOO_MANY = "Too many requests at once. Try again in a moment."
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

    def __init__(self, web: Path, crowd: Crowd) -> None:
        self._web = web
        self._crowd = crowd
        self._turns = Turns(MOST_TURNS, TURNS_OF_ONE, TURN_SECONDS)

    async def pass_on(
        self, head: Head, caller: Caller, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Have one request answered. Returns whether the browser's connection can serve another one."""
        length = head.length()
        if length > LARGEST_OF_GUEST and not place.member:
            raise BadRequest("Sign in to send more than 256 KiB.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        with await read_body(head, length, reader, writer, lambda size: self._crowd.hold(place, size)) as body:
            keep_alive = await self._have_answered(head, caller, place, body, writer)
        self._crowd.hold(place, writer.transport.get_write_buffer_size())
        self._crowd.move(place, Stage.SEND)
        await _sent(writer)
        self._crowd.hold(place, 0)
        return keep_alive

    async def _have_answered(
        self, head: Head, caller: Caller, place: Place, body: IO[bytes], writer: asyncio.StreamWriter
    ) -> bool:
        """In its turn, which ends when the web has done its part, however slow the browser is."""
        async with AsyncExitStack() as stack:
            try:
                if not self._crowd.move(place, Stage.WORK):
                    raise TimeoutError
                await stack.enter_async_context(self._turns.turn(place.group, place.member))
            except TimeoutError:
                await unavailable(writer, TOO_MANY)
                return False
            return await self._forward(head, caller, body, writer)

    async def _forward(self, head: Head, caller: Caller, body: IO[bytes], writer: asyncio.StreamWriter) -> bool:
        try:
            up_reader, up_writer = await _connect(self._web)
        except OSError:
            await unavailable(writer, "The web server is not running. Try again in a moment.")
            return False
        try:
            added = (("X-Forwarded-For", caller.address), ("X-Forwarded-Proto", caller.scheme), ("Connection", "close"))
            await _write_request(up_writer, head.written(HOP | CLAIMS | {"expect"}, added), body)
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


async def unavailable(writer: asyncio.StreamWriter, text: str) -> None:
    """Answer that it cannot be done now, but soon."""
    await answer(writer, HTTPStatus.SERVICE_UNAVAILABLE, text, (("Retry-After", "5"),))


async def _write_request(writer: asyncio.StreamWriter, head: bytes, body: IO[bytes]) -> None:
    """Send all of it, or as much as the web takes: it may answer before."""
    with suppress(OSError):
        async with asyncio.timeout(ANSWER_SECONDS):
            writer.write(head)
            while part := body.read(CHUNK):
                writer.write(part)
                await writer.drain()


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
    """Wait until all is out. Raises TimeoutError when the browser takes too little of it."""
    unsent = writer.transport.get_write_buffer_size()
    writer.transport.set_write_buffer_limits(high=1, low=0)
    async with asyncio.timeout(seconds_for(unsent)):
        await writer.drain()


async def _drain(writer: asyncio.StreamWriter) -> None:
    """Wait while much is unsent. Raises TimeoutError when the browser takes nothing for long."""
    async with asyncio.timeout(STALLED_SECONDS):
        await writer.drain()
