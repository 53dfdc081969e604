"""What waits says what for: its place, its node's limit, busy workers or none at all; from a real Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask
from rq import Worker
from rq.serializers import JSONSerializer

from ravada_web.extensions import db, queues
from ravada_web.models import Node, Operation, OperationState, now
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.operations import waiting, workers
from ravada_web.services.operations.requests import request
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_nodes, make_operation


@contextmanager
def worker(*names: str, state: str = "idle") -> Iterator[None]:
    """A worker that is registered, as one that has just been started is."""
    made = Worker(list(names), connection=queues.redis, serializer=JSONSerializer, worker_ttl=workers.WORKER_TTL)
    made.register_birth()
    made.set_state(state)
    try:
        yield
    finally:
        made.register_death()


def asked(people: People, kind: str, count: int = 1, node_id: int | None = None) -> list[Operation]:
    with transaction() as session:
        node = session.get_one(Node, node_id) if node_id else None
        return [request(session, kind, f"{kind} {number}", actor=people.user, node=node) for number in range(count)]


@pytest.fixture
def viewer(people: People):  # type: ignore[no-untyped-def]
    return people.operator


def test_a_queue_without_a_worker_is_shouted_about(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    (row,) = asked(people, "clones_start")
    reason = waiting.explain(viewer, [row])[row.id].reason
    assert (reason.kind, reason.figures) == ("operations.no_worker", {"queue": "interactive"})
    workers._Known.at = -workers.ASKED_EVERY
    assert set(workers.unserved()) == {"interactive", "checks", "default", "bulk"}


def test_a_worker_that_was_not_heard_of_serves_nothing(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    with worker("interactive"):
        key = next(iter(queues.redis.scan_iter("rq:worker:*")))
        queues.redis.hset(key, "last_heartbeat", (now() - timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        (row,) = workers.listing()
        assert not row.alive
        assert "interactive" in {queue.name for queue in workers.queue_rows([row]) if queue.unserved}


def test_the_place_in_line_and_the_time_come_from_what_is_past(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    begun = now() - timedelta(minutes=5)
    for seconds in (8, 10, 12):
        make_operation(state=OperationState.DONE, started_at=begun, finished_at=begun + timedelta(seconds=seconds))
    rows = asked(people, "clones_start", 3)
    with worker("interactive", state="busy"):
        seen = waiting.explain(viewer, rows)
    assert [seen[row.id].position for row in rows] == [1, 2, 3]
    assert [seen[row.id].seconds for row in rows] == [5, 15, 25]
    assert seen[rows[0].id].reason.kind == "operations.workers_busy" and seen[rows[0].id].reason.figures["count"] == 1


def test_without_a_past_there_is_no_time(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    (row,) = asked(people, "clones_start")
    with worker("interactive", state="busy"):
        assert waiting.explain(viewer, [row])[row.id].seconds is None


def test_a_nodes_limit_is_named_with_what_holds_it(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    (node_id,) = make_nodes(1)
    rows = asked(people, "clones_create", 4, node_id)
    with worker("default"):
        seen = waiting.explain(viewer, rows)
        (row,) = [queue for queue in workers.queue_rows(workers.listing()) if queue.name == "default"]
    assert (row.waiting, row.held_back) == (2, 2)
    assert "Node n1 runs 2 of these at a time. Now running: “clones_create 0”." in str(seen[rows[2].id].reason)
    assert [seen[row.id].position for row in rows[2:]] == [1, 2]


def test_the_number_of_questions_does_not_grow(app: Flask, people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    from tests.web.test_safety import counted_queries

    counts = []
    for count in (2, 30):
        rows = asked(people, "clones_start", count)
        kinds = [(row.id, row.kind) for row in rows]
        with worker("interactive", state="busy"), counted_queries() as seen:
            assert len(waiting.explain(viewer, rows)) == len(kinds)
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_without_redis_the_rows_still_show(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    rows = asked(people, "clones_start", 2)
    queues.connect("unix:///nonexistent/redis.sock")
    assert waiting.explain(viewer, rows) == {}
    assert operation_list.listing(viewer, operation_list.Filters()).total == 2
    db.session.rollback()
