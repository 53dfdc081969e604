"""What stands still reaches pages that are open, by their streams, without Redis and the database."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from ravada_web import beats
from ravada_web.beats import Board
from ravada_web.gateway.hub import Hub
from tests.support.servers import redis_server


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """The processes of a host, of which this one is the parent."""
    made = Board(["redis", "ticker"])
    monkeypatch.setattr(beats._Here, "board", made)
    for name in (beats.PARENT, "redis", "ticker"):
        made.begin(name)
    yield made


async def told(hub: Hub, topic: str) -> None:
    """Wait until the topic is told."""
    step = hub.step
    async with asyncio.timeout(30):
        while not hub.changed_since(topic, step):
            await asyncio.sleep(0.05)


def test_a_process_that_stands_still_is_told_to_all_pages_and_its_end_too(app: Flask, board: Board) -> None:
    async def look() -> None:
        nowhere: Any = None  # no page that is open here needs the database
        hub = Hub("unix:///nowhere/redis.sock", nowhere)
        running = asyncio.create_task(hub.run())
        await told(hub, "standstill")  # Redis is away
        board.mark("ticker", True)
        await told(hub, "stands_still")
        new = [hub.may_have_changed_since(topic, 0) for topic in ("standstill", "stands_still")]
        assert new == [True, False]
        running.cancel()

    asyncio.run(look())


def test_a_page_that_says_so_is_told_when_all_is_well(app: Flask, board: Board, tmp_path: Path) -> None:
    async def look(url: str) -> None:
        nowhere: Any = None
        hub = Hub(url, nowhere)
        board.mark("ticker", True)
        running = asyncio.create_task(hub.run())
        await told(hub, "standstill")
        board.mark("ticker", False)
        await told(hub, "stands_still")
        new = [hub.may_have_changed_since(topic, 0) for topic in ("standstill", "stands_still")]
        assert new == [False, True]
        running.cancel()
        await hub.close()

    with redis_server(tmp_path / "r.sock"):
        url = f"unix://{tmp_path / 'r.sock'}"
        with Redis.from_url(url) as redis:
            assert redis.ping()
        asyncio.run(look(url))
