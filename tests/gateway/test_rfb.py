"""Who looks on touches nothing: keys, pointers, pastes and power are left out however the bytes are cut."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ravada_web.gateway.rfb import NotRfb, ViewOnly

GREETING = b"RFB 003.008\n\x01\x01"
ENCODINGS = struct.pack("!BxHiii", 2, 3, 7, 0, -223)
REQUEST = struct.pack("!BBHHHH", 3, 1, 0, 0, 640, 480)
FORMAT = bytes([0]) + bytes(19)
FENCE = struct.pack("!BxxxIB", 248, 1, 3) + b"abc"
KEY = struct.pack("!BBxxI", 4, 1, 0x61)
POINTER = struct.pack("!BBHH", 5, 1, 10, 10)
TEXT = struct.pack("!Bxxxi", 6, 5) + b"hello"
EXTENDED_TEXT = struct.pack("!Bxxxi", 6, -4) + b"\0\0\0\1"
POWER = bytes([250, 0, 1, 2])
SCREEN = struct.pack("!BxHHBx", 251, 800, 600, 1) + bytes(16)
QEMU_KEY = struct.pack("!BBHII", 255, 0, 1, 0x61, 30)
PASSES = [ENCODINGS, REQUEST, FORMAT, FENCE]
DROPPED = [KEY, POINTER, TEXT, EXTENDED_TEXT, POWER, SCREEN, QEMU_KEY]


@given(messages=st.lists(st.sampled_from(PASSES + DROPPED), max_size=20), size=st.integers(1, 40))
def test_only_what_touches_nothing_passes(messages: list[bytes], size: int) -> None:
    stream, filtering = GREETING + b"".join(messages), ViewOnly()
    passed = b"".join(filtering.filter(stream[at : at + size]) for at in range(0, len(stream), size))
    assert passed == GREETING + b"".join(message for message in messages if message in PASSES)


def test_the_display_stays_shared_whatever_is_asked() -> None:
    assert ViewOnly().filter(GREETING[:-1] + b"\x00") == GREETING


@pytest.mark.parametrize("greeting", [b"RFB 003.003\n", b"RFB 003.007\n", b"GET / HTTP/1"])
def test_another_version_ends_it(greeting: bytes) -> None:
    with pytest.raises(NotRfb):
        ViewOnly().filter(greeting + b"\x01\x01")


@pytest.mark.parametrize("message", [b"\x07", b"\xfc", bytes([255, 9, 0, 0]), struct.pack("!Bxxxi", 6, 2 << 20)])
def test_what_is_not_known_ends_it(message: bytes) -> None:
    with pytest.raises(NotRfb):
        ViewOnly().filter(GREETING + message)
