"""Heads and frames of any shape: read as the web reads them, or refused; never anything else."""

import asyncio
import socket
from contextlib import closing, suppress
from dataclasses import dataclass

from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode

from ravada_web.gateway.browser import Browser, Closed
from ravada_web.gateway.http import HOP, BadRequest, Head, parse
from ravada_web.gateway.proxy import CLAIMS
from ravada_web.gateway.rfb import NotRfb, ViewOnly
from tests.support.fuzzing import fuzzed

ODD = [
    b"\r",
    b"\n",
    b"\0",
    b"\t",
    b" ",
    b"\x0b",
    b"\x85",
    b"\xff",
    b":",
    b",",
    b";",
    b"_",
    b"-",
    b"+3",
    b"0x3",
    b"3, 3",
]
NAMES = [
    b"Host",
    b"Content-Length",
    b"content-length",
    b"Transfer-Encoding",
    b"Content_Length",
    b"Expect",
    b"Connection",
]
VALUES = [b"x", b"3", b"03", b"chunked", b"identity", b"100-continue", b"close", b"", b"9" * 30]
pieces = st.sampled_from(ODD) | st.binary(max_size=3)
noise = st.just(b"") | st.lists(pieces, max_size=2).map(b"".join)
line = st.tuples(noise, st.sampled_from(NAMES), noise, st.just(b":"), noise, st.sampled_from(VALUES), noise).map(
    b"".join
)
first = st.tuples(
    st.sampled_from([b"GET", b"POST", b"HEAD", b"PRI"]),
    noise,
    st.just(b" "),
    st.sampled_from([b"/", b"/a?b", b"*"]),
    noise,
    st.just(b" "),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2"]),
    noise,
).map(b"".join)
heads = st.tuples(first, st.lists(line, max_size=4)).map(lambda parts: b"\r\n".join([parts[0], *parts[1], b"", b""]))
BODY = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"


def ours(raw: bytes) -> tuple[Head, int] | None:
    """What the gateway makes of a head, and of the length of its body; None where it refuses it."""
    try:
        head = parse(raw)
        return head, head.length()
    except BadRequest:
        return None


@fuzzed(0.05)
@given(heads | st.binary(max_size=200))
def test_the_web_reads_a_request_as_we_do_or_not_at_all(raw: bytes) -> None:
    read = ours(raw)
    if read is None:
        return
    head, length = read
    passed = head.written(HOP | CLAIMS | {"expect"}, (("Connection", "close"),)) + BODY[:length]
    requests = []
    with suppress(Exception):  # whatever it says to one that it refuses
        for request in RequestParser(Config(), iter([passed]), ("", 0)):
            requests.append((request.method, request.uri, len(request.body.read())))
    assert requests in ([], [(head.words[0], head.words[1], min(length, len(BODY)))])


@dataclass
class Said:
    """What a browser's end gave, and how it ended."""

    data: bytes
    closed: bool


async def _said(sent: list[bytes]) -> Said:
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    with closing(there), closing(writer):
        browser = Browser(reader, writer)
        assert await browser.shake_hands(parse(HANDSHAKE))
        for part in sent:
            reader.feed_data(part)
        reader.feed_eof()
        said = Said(b"", False)
        try:
            while True:
                said.data += await browser.read()
        except (Closed, ProtocolError, OSError):
            said.closed = True
        return said


HANDSHAKE = (
    b"GET /console/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: binary\r\n\r\n"
)


def frame(data: bytes) -> bytes:
    """A browser's frame."""
    return Frame(Opcode.BINARY, data).serialize(mask=True)


@fuzzed(0.05)
@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 50), st.binary(max_size=40))
def test_frames_say_the_same_however_they_are_cut_and_rubbish_ends_them(
    messages: list[bytes], size: int, rubbish: bytes
) -> None:
    stream = b"".join(map(frame, messages)) + rubbish
    said = asyncio.run(_said([stream[at : at + size] for at in range(0, len(stream), size)]))
    assert said.closed and said.data.startswith(b"".join(messages))


@fuzzed(0.05)
@given(st.binary(max_size=400), st.integers(1, 50))
def test_an_onlookers_rubbish_is_the_same_however_it_is_cut(sent: bytes, size: int) -> None:
    stream = b"RFB 003.008\n\x01\x01" + sent
    assert _passed(stream, len(stream)) == _passed(stream, size)


def _passed(stream: bytes, size: int) -> tuple[bytes, bool]:
    """What goes on to the display, and whether it was all read."""
    filtering, passed = ViewOnly(), bytearray()
    try:
        for at in range(0, len(stream), size):
            passed += filtering.filter(stream[at : at + size])
    except NotRfb:
        return b"", False
    return bytes(passed), True
