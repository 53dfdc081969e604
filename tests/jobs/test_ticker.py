"""The ticker: one ticks however many run, another takes over, and the sick are checked apart from the healthy."""

from datetime import timedelta

import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import update

from jobs.ticker import LOCK_SECONDS, Checks, Ticker, queue_checks, queue_counting
from ravada_web.config import Settings
from ravada_web.extensions import queues
from ravada_web.models import Node, Observed, now
from ravada_web.services.operations import sweep
from ravada_web.services.operations.outbox import queue
from ravada_web.services.transaction import transaction
from tests.support.factories import make_nodes
from tests.support.servers import wait_until


def checks() -> list[tuple[int, ...]]:
    return [tuple(job.args) for job in queue("checks").get_jobs()]


def test_the_sick_are_checked_apart_from_the_healthy(app: Flask) -> None:
    nodes = make_nodes(5)
    with transaction() as session:
        session.execute(update(Node).where(Node.id == nodes[2]).values(observed=Observed.DOWN))
    queue_checks(interval=5)
    assert checks() == [(nodes[0], nodes[1], nodes[3], nodes[4]), (nodes[2],)]


def test_many_nodes_are_checked_in_parts_each_once_an_interval(app: Flask) -> None:
    nodes = make_nodes(25)
    for part in range(5):
        queue_checks(5, part, 5)
    parts = checks()
    assert len(parts) == 2, "of 25 nodes two parts are worth it"
    assert sorted(node for part in parts for node in part) == nodes


def test_where_the_workers_do_not_keep_up_the_next_part_waits(app: Flask) -> None:
    nodes = make_nodes(40)
    rounds = Checks(5)
    for _second in range(10):
        rounds.queue_part()
    assert len(checks()) == 3, "two for the one worker there might be, and the one that came on top"
    queue("checks").empty()
    rounds.queue_part()
    assert checks() == [tuple(node for node in nodes if node % 4 == 3)], "it goes on with the part that waited"


def test_a_check_that_nobody_took_up_is_dropped_when_the_next_ones_are_due(app: Flask) -> None:
    make_nodes(1)
    queue_checks(interval=5)
    (job,) = queue("checks").get_jobs()
    assert job.ttl == 10


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


def test_pools_are_counted_that_were_not_for_ten_minutes(app: Flask) -> None:
    nodes = make_nodes(4)
    with transaction() as session:
        for node_id, minutes in zip(nodes[1:], (3, 11, 11), strict=True):
            session.get_one(Node, node_id).pools[0].counted_at = now() - timedelta(minutes=minutes)
        session.get_one(Node, nodes[3]).observed = Observed.DOWN
    queue_counting()
    queue_counting()
    assert [tuple(job.args) for job in queue("default").get_jobs()] == [(nodes[0], nodes[2])]
