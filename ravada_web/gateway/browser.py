"""A console's browser: WebSocket frames over the connection's streams, by the sans-I/O protocol of `websockets`."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from ravada_web.gateway.http import Head
from ravada_web.services.consoles.causes import CODES, Cause

# Keys and pointers come in small pieces, and between two of them others have their turn: a browser that sends nothing
# but pings would block the loop for seconds.
PIECE = 4 * 1024
# A mouse reports 125 times a second, a fast one 1,000 times.
MOST_FRAMES_A_SECOND = 4000
# What a browser sends at once: keys and pointers, now and then a clipboard.
LONGEST_MESSAGE = 1 << 20
# After this many bytes that a browser has not taken, we wait before reading more of the display.
UNSENT_BYTES = 256 * 1024


class Closed(Exception):
    """The console ends; `cause` is sent to the browser."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause = cause


class Browser:
    """The browser's end: WebSocket frames over the connection's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = ServerProtocol(subprotocols=[Subprotocol("binary")], max_size=LONGEST_MESSAGE)
        self.heard = asyncio.get_running_loop().time()
        self._counted_since, self._frames = self.heard, 0
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
            raw = await self._reader.read(PIECE)
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
            await asyncio.sleep(0)

    def _data(self) -> Iterable[bytes]:
        events = self._protocol.events_received()
        self._count(len(events))
        for event in events:
            if isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
                yield bytes(event.data)

    def _count(self, frames: int) -> None:
        if self.heard - self._counted_since > 1:
            self._counted_since, self._frames = self.heard, 0
        self._frames += frames
        if self._frames > MOST_FRAMES_A_SECOND:
            raise Closed(Cause.TOO_FAST)

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the browser does not take them. Raises Closed when it has left."""
        if self._protocol.state is not State.OPEN:
            raise Closed(Cause.LEFT)
        self._protocol.send_binary(data)
        await self._flush()

    async def ping(self) -> None:
        """Send a ping, without waiting for the answer."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._writer.writelines(self._protocol.data_to_send())

    async def close(self, cause: Cause) -> None:
        """Send the cause and close."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CODES[cause], cause)
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._flush(), 1)

    async def _flush(self) -> None:
        parts = self._protocol.data_to_send()
        if data := b"".join(parts):
            self._writer.write(data)
        if b"" in parts and self._writer.can_write_eof():  # how websockets says that the connection is to be closed
            self._writer.write_eof()
        await self._writer.drain()
