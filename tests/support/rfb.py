"""RFB as a viewer speaks it (RFC 6143), without I/O: bytes in, frames out; raw pixels only, so that all can be told."""

import struct

VERSION = b"RFB 003.008\n"
NO_SECURITY, SHARED = b"\x01", b"\x01"
RAW, DESKTOP_SIZE = 0, -223


class Viewer:
    """A viewer of one display. `feed` what the display sent, send what `outgoing` gives; `frames` counts updates."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._steps = [self._version, self._security, self._result, self._init]
        self.outgoing = bytearray()
        self.size = (0, 0)
        self.name = ""
        self.frames = 0
        self.pixels = b""
        self.ready = False

    def feed(self, data: bytes) -> int:
        """Take in what the display sent; returns how many frames it completed."""
        self._buffer += data
        before = self.frames
        while self._step():
            pass
        return self.frames - before

    def take(self) -> bytes:
        """What is to be sent now."""
        out = bytes(self.outgoing)
        self.outgoing.clear()
        return out

    def ask(self, width: int = 0, height: int = 0, incremental: bool = False) -> bytes:
        """A request for a frame of the top left corner, by default the whole screen."""
        width, height = width or self.size[0], height or self.size[1]
        return struct.pack("!BBHHHH", 3, incremental, 0, 0, width, height)

    @staticmethod
    def key(symbol: int) -> bytes:
        """A key pressed and released."""
        return struct.pack("!BBxxI", 4, 1, symbol) + struct.pack("!BBxxI", 4, 0, symbol)

    def _step(self) -> bool:
        if self._steps:
            if self._steps[0]():
                self._steps.pop(0)
                return True
            return False
        return self._message()

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _version(self) -> bool:
        if len(self._buffer) < 12:
            return False
        assert self._take(12) == VERSION
        self.outgoing += VERSION
        return True

    def _security(self) -> bool:
        if len(self._buffer) < 1 or len(self._buffer) < 1 + self._buffer[0]:
            return False
        offered = self._take(1 + self._buffer[0])[1:]
        assert NO_SECURITY in offered, offered
        self.outgoing += NO_SECURITY
        return True

    def _result(self) -> bool:
        if len(self._buffer) < 4:
            return False
        assert self._take(4) == b"\0\0\0\0"
        self.outgoing += SHARED
        return True

    def _init(self) -> bool:
        if len(self._buffer) < 24:
            return False
        (length,) = struct.unpack_from("!I", self._buffer, 20)
        if len(self._buffer) < 24 + length:
            return False
        self.size = struct.unpack_from("!HH", self._buffer)
        self.name = self._take(24 + length)[24:].decode()
        self.outgoing += struct.pack("!BxHii", 2, 2, RAW, DESKTOP_SIZE)
        self.ready = True
        return True

    def _message(self) -> bool:
        if not self._buffer:
            return False
        kind = self._buffer[0]
        if kind == 0:
            return self._update()
        length = {1: 6, 2: 1}.get(kind)
        if kind == 3 and len(self._buffer) >= 8:
            length = 8 + struct.unpack_from("!4xI", self._buffer)[0]
        if length is None or len(self._buffer) < length:
            assert kind in (1, 2, 3), f"message {kind}"
            return False
        self._take(length)
        return True

    def _update(self) -> bool:
        """A frame, taken once all of it is there."""
        if len(self._buffer) < 4:
            return False
        (count,) = struct.unpack_from("!xxH", self._buffer)
        at, pixels = 4, b""
        for _rectangle in range(count):
            if len(self._buffer) < at + 12:
                return False
            _x, _y, width, height, encoding = struct.unpack_from("!HHHHi", self._buffer, at)
            at += 12
            if encoding == DESKTOP_SIZE:
                self.size = (width, height)
                continue
            assert encoding == RAW, encoding
            if len(self._buffer) < at + 4 * width * height:
                return False
            pixels = bytes(self._buffer[at : at + 4 * width * height])
            at += 4 * width * height
        self._take(at)
        self.frames += 1
        self.pixels = pixels or self.pixels
        return True
