"""A look at a display as a viewer takes it (RFB 3.8, RFC 6143): the first frame that shows anything."""

import socket
import struct
import time
from dataclasses import dataclass

from ravada_web.messages import message
from ravada_web.messages.foreign import printable
from ravada_web.remote.errors import RemoteError

_VERSION = b"RFB 003.008\n"
_NO_SECURITY, _SHARED, _RAW = b"\x01", b"\x01", 0
# An 8K screen at 32 bits; anything larger is rejected.
_MOST_PIXELS = 7680 * 4320
_AGAIN_SECONDS = 0.2
# A display's name, its palette or a clipboard: longer ones are no display's.
_MOST_ASIDE = 1 << 20
# Colours are counted by pieces, until there are so many: two make a picture.
_PIECE, _MOST_COLOURS = 1 << 16, 256


class NoPicture(RemoteError):
    """A display was reached, and showed nothing, or spoke no RFB."""


@dataclass(frozen=True)
class Frame:
    """A whole screen: its size in pixels, and how many different pixels were counted of it, some thousands at
    most."""

    width: int
    height: int
    colours: int


def first_frame(plug: socket.socket, deadline: float) -> Frame:
    """The first frame of the display behind a connection that is not all of one colour. `deadline` in seconds.

    Raises NoPicture.
    """
    end = time.monotonic() + deadline
    try:
        stream = _Stream(plug, end)
        width, height = _greet(stream)
        while True:
            frame = _frame(stream, width, height)
            if frame.colours > 1:
                return frame
            if time.monotonic() + _AGAIN_SECONDS > end:
                raise NoPicture(message("remote.blank", width=width, height=height, deadline_seconds=deadline))
            time.sleep(_AGAIN_SECONDS)
    except (OSError, EOFError) as error:
        reason = printable(str(error)) or message("remote.hung_up")
        raise NoPicture(message("remote.display_silent", said=reason)) from error


class _Stream:
    """What a display sends, until a moment by the monotonic clock, however little it sends at a time."""

    def __init__(self, plug: socket.socket, end: float) -> None:
        self.plug = plug
        self._end = end

    def read(self, count: int) -> bytes:
        """So many bytes. Raises EOFError where it ends before, and TimeoutError."""
        data = bytearray()
        while len(data) < count:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self.plug.settimeout(left)
            part = self.plug.recv(min(count - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def skip(self, count: int) -> None:
        """Read so many bytes for nothing. Raises what `read` raises, and NoPicture for more than a display has to say
        beside its picture."""
        if count > _MOST_ASIDE:
            raise NoPicture(message("remote.display_confused"))
        self.read(count)


def _greet(stream: _Stream) -> tuple[int, int]:
    if stream.read(12)[:4] != b"RFB ":
        raise NoPicture(message("remote.no_vnc"))
    stream.plug.sendall(_VERSION)
    offered = stream.read(stream.read(1)[0])
    if _NO_SECURITY not in offered:
        raise NoPicture(message("remote.display_locked"))
    stream.plug.sendall(_NO_SECURITY)
    if stream.read(4) != bytes(4):
        raise NoPicture(message("remote.display_refused"))
    stream.plug.sendall(_SHARED)
    width, height, _format, name = struct.unpack("!HH16sI", stream.read(24))
    stream.skip(name)
    if not 0 < width * height <= _MOST_PIXELS:
        raise NoPicture(message("remote.screen_impossible", width=width, height=height))
    stream.plug.sendall(struct.pack("!BxHi", 2, 1, _RAW))
    return width, height


def _frame(stream: _Stream, width: int, height: int) -> Frame:
    stream.plug.sendall(struct.pack("!BBHHHH", 3, 0, 0, 0, width, height))
    while (kind := stream.read(1)[0]) != 0:
        _pass_over(stream, kind)
    (count,) = struct.unpack("!xH", stream.read(3))
    colours: set[bytes] = set()
    left = width * height
    for _rectangle in range(count):
        _x, _y, wide, high, encoding = struct.unpack("!HHHHi", stream.read(12))
        left -= wide * high
        if encoding != _RAW or left < 0:
            raise NoPicture(message("remote.display_confused"))
        _count_colours(stream, wide * high * 4, colours)
    return Frame(width, height, len(colours))


def _count_colours(stream: _Stream, size: int, colours: set[bytes]) -> None:
    """Read so many bytes of pixels, and note the first colours among them."""
    while size:
        pixels = stream.read(min(size, _PIECE))
        size -= len(pixels)
        if len(colours) < _MOST_COLOURS:
            colours |= {pixels[at : at + 4] for at in range(0, len(pixels), 4)}


def _pass_over(stream: _Stream, kind: int) -> None:
    """Skip what is not a frame: a colour map, a bell, a clipboard."""
    if kind == 1:
        _first, count = struct.unpack("!xHH", stream.read(5))
        stream.skip(count * 6)
    elif kind == 3:
        stream.skip(struct.unpack("!3xI", stream.read(7))[0])
    elif kind != 2:
        raise NoPicture(message("remote.display_unknown", kind=kind))
