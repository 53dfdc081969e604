"""The ticker: one ticks however many run, and another takes over when it is gone."""

import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisConnectionError

from jobs.ticker import LOCK_SECONDS, Ticker
from ravada_web.config import Settings
from ravada_web.extensions import queues
from ravada_web.services.operations import sweep
from ravada_web.services.operations.outbox import queue
from tests.support.factories import make_nodes
from tests.support.servers import wait_until


def checks() -> list[tuple[int, ...]]:
    return [tuple(job.args) for job in queue("checks").get_jobs()]


def test_only_the_holder_of_the_lock_ticks_and_another_takes_over(app: Flask, settings: Settings) -> None:
    make_nodes(1)
    first, second = Ticker(settings), Ticker(settings)
    first.tick()
    second.tick()
    assert len(checks()) == 1
    first.release()
    second.tick()
    assert len(checks()) == 2


def test_a_ticker_that_died_is_replaced_once_its_lock_runs_out(app: Flask, settings: Settings) -> None:
    make_nodes(1)
    rarely = settings.model_copy(update={"check_interval": 60})
    Ticker(rarely).tick()
    second = Ticker(rarely)

    def took_over() -> bool:
        second.tick()
        return len(checks()) == 2

    wait_until(took_over, LOCK_SECONDS + 2, "the second ticker ticks")


def test_a_tick_without_redis_is_skipped_and_the_next_one_works(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_nodes(1)
    ticker = Ticker(settings)
    with monkeypatch.context() as away:

        def gone(_self: sweep.Sweep) -> int:
            raise RedisConnectionError("away")

        away.setattr(sweep.Sweep, "run", gone)
        ticker.tick()
    assert checks() == []
    ticker.tick()
    assert len(checks()) == 1
    assert queues.redis.ping()
