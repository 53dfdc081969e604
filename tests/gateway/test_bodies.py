"""Bodies are taken in whole, large ones on disk, and who sends too slowly is not waited for."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import pytest

from ravada_web.gateway import bodies
from ravada_web.gateway.bodies import read_body, seconds_for
from ravada_web.gateway.http import BadRequest, parse, read_begin, read_head

HEAD = parse(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def joined(use: Callable[[Streams, Streams], Awaitable[None]]) -> None:
    """Have it use both ends of a connection."""

    async def run() -> None:
        ours, theirs = socket.socketpair()
        here, there = await asyncio.open_connection(sock=ours), await asyncio.open_connection(sock=theirs)
        try:
            await use(here, there)
        finally:
            here[1].close()
            there[1].close()

    asyncio.run(run())


async def trickle(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, without end."""
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.01)


def test_a_large_body_is_whole_and_not_in_memory() -> None:
    sent, kept = b"0123456789abcdef" * 65536, []

    async def use(here: Streams, there: Streams) -> None:
        sending = asyncio.create_task(_send(there[1], sent + b"next"))
        with await read_body(HEAD, len(sent), *here, kept.append) as body:
            assert body.read() == sent and body._rolled  # type: ignore[attr-defined]
        assert await here[0].readexactly(4) == b"next"
        await sending

    joined(use)
    assert kept[-1] == len(sent) and kept == sorted(kept)


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def test_who_sends_bytes_now_and_then_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.1)

    async def use(here: Streams, there: Streams) -> None:
        sending = asyncio.create_task(trickle(there[1]))
        with pytest.raises(BadRequest) as refused:
            await read_body(HEAD, 4 << 20, *here, lambda _size: None)
        assert refused.value.status == HTTPStatus.REQUEST_TIMEOUT
        sending.cancel()

    joined(use)


def test_a_head_that_trickles_in_is_not_waited_for() -> None:
    async def use(here: Streams, there: Streams) -> None:
        sending = asyncio.create_task(trickle(there[1]))
        assert await read_begin(here[0], 30) == b"x"
        assert await read_head(here[0], 0.1, b"x") is None
        sending.cancel()

    joined(use)


def test_a_slow_line_has_time_for_the_largest_upload() -> None:
    assert seconds_for(4 << 20) > 500 and seconds_for(2000) < 11


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies.tempfile, "tempdir", "/dev/full/nowhere")

    async def use(here: Streams, there: Streams) -> None:
        there[1].write(b"x" * 100_000)
        with pytest.raises(BadRequest) as refused:
            await read_body(HEAD, 100_000, *here, lambda _size: None)
        assert refused.value.status == HTTPStatus.INSUFFICIENT_STORAGE

    joined(use)
