"""A thousand live pages of one gateway: how soon each is told of a change, and what they cost."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from urllib.parse import urlencode

from ravada_web.models import Operation
from ravada_web.services import changes
from ravada_web.services.transaction import transaction

CHANGES = 10
EVERY = 1.0


async def told(port: int, cookies: Sequence[str], topic: str) -> list[float]:
    """Open a stream for each cookie; seconds from each of a few changes until each stream has told of it."""
    since = await asyncio.to_thread(changes.latest)
    async with AsyncExitStack() as opened:
        readers = [await _open(opened, port, cookie, topic, since) for cookie in cookies]
        delays: list[float] = []
        for number in range(CHANGES):
            await asyncio.sleep(EVERY)
            heard = [asyncio.create_task(_event(reader)) for reader in readers]
            begun = await asyncio.to_thread(_change, number)
            delays += [moment - begun for moment in await asyncio.gather(*heard)]
    return delays


def _change(number: int) -> float:
    with transaction() as session:
        session.add(Operation(kind="clones_start", title=f"told {number}", state="done"))
    return time.perf_counter()


async def _open(opened: AsyncExitStack, port: int, cookie: str, topic: str, since: int) -> asyncio.StreamReader:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    opened.callback(writer.close)
    query = urlencode({"topics": topic, "since": since})
    writer.write(f"GET /live?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(head.decode())
    await _event(reader)
    return reader


async def _event(reader: asyncio.StreamReader) -> float:
    """When the next event has come."""
    while not (await reader.readuntil(b"\n\n")).startswith(b"id:"):
        pass
    return time.perf_counter()
