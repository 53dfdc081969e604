"""The one port: each request goes to the consoles, to the live streams, or on to the pages."""

import asyncio
from contextlib import suppress
from http import HTTPStatus

from flask import Flask

from ravada_web import addresses
from ravada_web.config import Settings
from ravada_web.gateway import consoles, live
from ravada_web.gateway.crowd import Crowd, Place, Stage
from ravada_web.gateway.http import HEAD_SECONDS, BadRequest, Head, answer, read_begin, read_head
from ravada_web.gateway.listening import Door, Listener
from ravada_web.gateway.proxy import TOO_MANY, Caller, Pages, unavailable
from ravada_web.gateway.visitor import token

LONGEST_HEAD = 32 * 1024
# A connection that is kept open for the next page.
IDLE_SECONDS = 75.0
# Closed on what is still being sent, a connection is reset, and the answer lost with it.
REST_SECONDS = 2.0
LEAVE_SECONDS = 30.0


class Front:
    """Serves connections one by one, each in a task of its own."""

    def __init__(self, app: Flask, crowd: Crowd, streams: live.Streams, doors: consoles.Consoles, pages: Pages) -> None:
        self._app = app
        self._settings: Settings = app.extensions["settings"]
        self._crowd = crowd
        self._streams = streams
        self._consoles = doors
        self._pages = pages

    def listen(self, door: Door) -> Listener:
        """Take in who comes to the door."""
        listener = Listener(self._crowd, self._serve, self._counted, LONGEST_HEAD)
        listener.listen(door)
        return listener

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place) -> None:
        try:
            head = await read_head(reader, HEAD_SECONDS)
            while head and await self._answer(head, place, reader, writer):
                head = await self._next_head(reader, place)
        except BadRequest as error:
            with suppress(OSError, TimeoutError):
                await answer(writer, error.status, str(error))
                await asyncio.wait_for(_read_rest(reader), REST_SECONDS)
        except (TimeoutError, asyncio.CancelledError):
            writer.transport.abort()  # it takes nothing any more, or had to make room
        except OSError:
            pass  # the browser has gone; the closed connection tells the web process
        finally:
            await _close(writer)

    async def _next_head(self, reader: asyncio.StreamReader, place: Place) -> Head | None:
        self._crowd.move(place, Stage.REST)
        begun = await read_begin(reader, IDLE_SECONDS)
        self._crowd.move(place, Stage.HALF)
        return await read_head(reader, HEAD_SECONDS, begun) if begun else None

    async def _answer(
        self, head: Head, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; True where the connection can serve another."""
        caller = self._caller(head, writer)
        self._crowd.recognise(place, token(self._app, head), caller.address)
        if (head.path == live.PATH and head.words[0] == "GET") or head.path == consoles.PATH:
            if not self._crowd.move(place, Stage.WORK):
                await unavailable(writer, TOO_MANY)
            elif head.path == live.PATH:
                await self._streams.serve(head, reader, writer)
            else:
                await self._consoles.serve(head, caller, reader, writer)
            return False
        if head.words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise BadRequest("Only HTTP/1.1 is supported.", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        return await self._pages.pass_on(head, caller, place, reader, writer)

    def _counted(self, address: str) -> str:
        return "" if addresses.trusted(address, self._settings.proxies) else address

    def _caller(self, head: Head, writer: asyncio.StreamWriter) -> Caller:
        """The client's address and scheme: the connection's, or what trusted proxies say of them."""
        peer = writer.get_extra_info("peername")
        nearest, proxies = str(peer[0]) if peer else "", self._settings.proxies
        scheme = "https" if writer.get_extra_info("sslcontext") else "http"
        if addresses.trusted(nearest, proxies) and head.get("x-forwarded-proto") == "https":
            scheme = "https"
        return Caller(addresses.client(nearest, head.get("x-forwarded-for"), proxies), scheme)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Send what is unsent and close, without waiting for a slow browser."""
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), LEAVE_SECONDS)
    except (OSError, TimeoutError):
        writer.transport.abort()


async def _read_rest(reader: asyncio.StreamReader) -> None:
    while await reader.read(LONGEST_HEAD):
        pass
