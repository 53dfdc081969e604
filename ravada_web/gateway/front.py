"""The one port: each request goes to the consoles, to the live streams, or on to the pages."""

import asyncio
from contextlib import suppress
from http import HTTPStatus

from ravada_web.config import Settings
from ravada_web.gateway import consoles, live
from ravada_web.gateway.http import BadRequest, Head, answer, read_head
from ravada_web.gateway.proxy import Caller, Pages

LONGEST_HEAD = 32 * 1024
# A connection that is kept open for the next page.
IDLE_SECONDS = 75.0
# Closed on what is still being sent, a connection is reset, and the answer lost with it.
REST_SECONDS = 2.0
LEAVE_SECONDS = 30.0


class Front:
    """Serves connections one by one, each in a task of its own."""

    def __init__(self, settings: Settings, streams: live.Streams, doors: consoles.Consoles, pages: Pages) -> None:
        self._settings = settings
        self._streams = streams
        self._consoles = doors
        self._pages = pages

    async def listen(self) -> asyncio.Server:
        """Listen where the settings say, by HTTPS where they name a certificate."""
        place = self._settings.host, self._settings.port
        context = self._settings.tls_context()
        return await asyncio.start_server(self._serve, *place, ssl=context, limit=LONGEST_HEAD, backlog=1024)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await read_head(reader, IDLE_SECONDS):
                if not await self._answer(head, reader, writer):
                    break
        except BadRequest as error:
            with suppress(OSError, TimeoutError):
                await answer(writer, error.status, str(error))
                await asyncio.wait_for(_read_rest(reader), REST_SECONDS)
        except TimeoutError:
            writer.transport.abort()  # it takes nothing any more
        except OSError:
            pass  # the browser has gone; the closed connection tells the web process
        finally:
            await _close(writer)

    async def _answer(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; True where the connection can serve another."""
        caller = self._caller(head, writer)
        if head.path == live.PATH and head.words[0] == "GET":
            await self._streams.serve(head, reader, writer)
            return False
        if head.path == consoles.PATH:
            await self._consoles.serve(head, caller, reader, writer)
            return False
        if head.words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise BadRequest("Only HTTP/1.1 is supported.", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        return await self._pages.pass_on(head, caller, reader, writer)

    def _caller(self, head: Head, writer: asyncio.StreamWriter) -> Caller:
        """The client's address: the connection's, or the last one that a trusted proxy added."""
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        scheme = "https" if writer.get_extra_info("sslcontext") else "http"
        if address in self._settings.trusted_proxies:
            address = head.get("x-forwarded-for").rpartition(",")[2].strip() or address
            scheme = "https" if head.get("x-forwarded-proto") == "https" else scheme
        return Caller(address, scheme)


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
