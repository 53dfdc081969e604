"""Whoever can write to Redis, or a worker that died while it did, leaves entries that nobody can read: they stop
neither the pages, nor the sweep, nor the ticker, nor the workers, and are taken out."""

from collections.abc import Callable, Sequence

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from jobs.ticker import Ticker
from ravada_web.config import Settings
from ravada_web.extensions import db, queues
from ravada_web.models import Operation, OperationState, Role, User, operation_of
from ravada_web.services.operations import outbox, queue_jobs, registries, sweep, waiting, workers
from ravada_web.services.operations.kinds import QUEUES
from ravada_web.services.operations.oddities import take_out
from tests.support.factories import make_nodes, make_operation, make_user

ODD = b"\xff\xfe\x00"
Forge = Callable[[Redis], object]
FORGED: dict[str, Forge] = {
    "a worker without a name": lambda redis: redis.sadd("rq:workers", b""),
    "a worker of half characters": lambda redis: redis.sadd("rq:workers", b"rq:worker:" + ODD),
    "a worker that is none": lambda redis: redis.sadd("rq:workers", "rq:other:x", "rq:workers"),
    "workers of a queue": lambda redis: redis.sadd("rq:workers:default", ODD, "x"),
    "a worker whose key is of another kind": lambda redis: (
        redis.sadd("rq:workers", "rq:worker:b"),
        redis.set("rq:worker:b", "x"),
    ),
    "a worker half written": lambda redis: (
        redis.sadd("rq:workers", "rq:worker:c"),
        redis.hset("rq:worker:c", mapping={"birth": "yesterday"}),
    ),
    "a worker that lies": lambda redis: (
        redis.sadd("rq:workers", "rq:worker:<b>d"),
        redis.hset(
            "rq:worker:<b>d",
            mapping={
                "birth": "9999-99-99T00:00:00Z",
                "last_heartbeat": ODD,
                "pid": "1e9",
                "heard": "NaN",
                "hostname": ODD,
                "state": b"\x1b[2J",
                "queues": b"default," + ODD,
                ODD: "x",
                "failed_job_count": "many",
            },
        ),
        redis.set("rq:worker:<b>d:executions", 1),
    ),
    "a worker of long ago": lambda redis: (
        redis.sadd("rq:workers", "rq:worker:e"),
        redis.hset("rq:worker:e", mapping={"heard": "9" * 30, "pid": "9" * 30, "queues": "default", "state": "busy"}),
        redis.sadd("rq:worker:e:executions", f"op-{'9' * 40}-1:x"),
    ),
    "workers of a queue of another kind": lambda redis: redis.set("rq:workers:bulk", "x"),
    "a queue of another kind": lambda redis: (redis.delete("rq:queue:bulk"), redis.set("rq:queue:bulk", "x")),
    "a queue of half characters": lambda redis: redis.rpush("rq:queue:checks", ODD, b"", "op-x-1", f"op-{'9' * 40}-1"),
    "a job of another kind": lambda redis: (redis.set("rq:job:zz", "x"), redis.rpush("rq:queue:default", "zz")),
    "an intermediate queue": lambda redis: redis.rpush("rq:queue:default:intermediate", ODD),
    "jobs that run": lambda redis: redis.zadd("rq:wip:default", {"no-execution": 1, ODD: 1, "a:b:c": 1}),
    "jobs that failed": lambda redis: redis.zadd("rq:failed:default", {ODD: 1}),
    "a registry of another kind": lambda redis: redis.set("rq:wip:bulk", "x"),
    "limits of half characters": lambda redis: redis.sadd("rq:rl-keys", ODD, "", "node-x:build", "node-1"),
    "limits of another kind": lambda redis: (redis.delete("rq:rl-keys"), redis.hset("rq:rl-keys", "a", "b")),
    "a limit that cannot be read": lambda redis: (
        redis.sadd("rq:rl-keys", "node-1:build"),
        redis.hset("rq:rl:node-1:build", "concurrency", "many"),
        redis.zadd("rq:rl:node-1:build:rate_limited", {ODD: 1, "op-7-1": 2}),
        redis.set("rq:rl:node-1:build:allowed", "x"),
    ),
    "what changed": lambda redis: (redis.set("ravada:live:topics", "x"), redis.set("ravada:live:number", ODD)),
    "how channels did": lambda redis: redis.hset("ravada:alerts:channels", mapping={ODD: ODD, "mail": "[1"}),
    "who was refused": lambda redis: redis.sadd("ravada:refused", ODD, "x"),
    "the links": lambda redis: redis.set("ravada:links", ODD),
}


@pytest.fixture
def lost(app: Flask) -> int:
    """An operation whose job never came to its queue."""
    make_nodes(1)
    return make_operation(node_id=1).id


def everybody_reads(chief: int, lost: int) -> None:
    """What pages and the ticker ask."""
    viewer = db.session.get_one(User, chief)
    workers.listing()
    workers.overview()
    workers._Known.at = -workers.ASKED_EVERY
    workers.unserved()
    workers.held_back()
    for name in QUEUES:
        assert registries.worker_count(name) >= 0
    waiting.explain(viewer, [db.session.get_one(Operation, lost)])
    queue_jobs.counts()
    for state in queue_jobs.STATES:
        queue_jobs.listing(viewer, "default", state)


OTHER_KINDS = [name for name in FORGED if "another kind" in name]


@pytest.mark.parametrize("forged", [OTHER_KINDS, [*FORGED.keys() - OTHER_KINDS]], ids=["kinds", "entries"])
def test_no_entry_stops_the_pages_the_ticker_or_the_workers(
    settings: Settings,
    lost: int,
    drain: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    forged: Sequence[str],
) -> None:
    monkeypatch.setattr(sweep, "LOST_AFTER", 0.0)
    chief = make_user("chief", Role.ADMINISTRATOR).id
    for name in forged:
        FORGED[name](queues.redis)
    everybody_reads(chief, lost)
    Ticker(settings).tick()
    db.session.rollback()
    row = db.session.get_one(Operation, lost)
    assert (row.state, row.attempt) == (OperationState.WAITING, 2)
    assert row.job_id in sweep.queued_jobs()
    everybody_reads(chief, lost)
    after = outbox.queue("default").enqueue("jobs.nodes.thin")
    drain()
    assert after.get_status() == "finished"
    assert take_out() == 0


def test_one_odd_worker_hides_no_other(app: Flask) -> None:
    for name in FORGED.keys() - OTHER_KINDS:
        FORGED[name](queues.redis)
    queues.redis.delete("rq:workers")
    queues.redis.set("rq:worker:b", "x")
    queues.redis.sadd("rq:workers", ODD, "rq:worker:b", "rq:worker:<b>d", "rq:worker:a")
    queues.redis.hset("rq:worker:a", mapping={"queues": "default", "state": "idle", "pid": 7, "heard": 1 << 33})
    rows = {row.name: row for row in workers.listing()}
    assert set(rows) == {"a", "<b>d"}
    assert rows["a"].alive and not rows["<b>d"].alive


@pytest.mark.parametrize("name", [f"op-{'9' * 40}-1", "op-١-1", "op--1", "op-1", "op-1-1\n"])
def test_what_is_no_jobs_name_is_of_no_operation(name: str) -> None:
    assert operation_of(name) is None


@given(st.dictionaries(st.binary(max_size=12), st.binary(max_size=24), max_size=6), st.binary(max_size=20))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_worker_of_any_bytes_is_read_or_left_out(app: Flask, stored: dict[bytes, bytes], name: bytes) -> None:
    names = [b"birth", b"last_heartbeat", b"pid", b"heard", b"hostname", b"state", b"queues"]
    queues.redis.flushdb()
    key = b"rq:worker:" + name
    queues.redis.sadd("rq:workers", key, name)
    queues.redis.hset(key, mapping={"pid": "1", **stored, **dict(zip(names, stored.values(), strict=False))})
    for row in workers.listing():
        assert row.name.isprintable() and row.pid >= 0
    take_out()
    workers.listing()
