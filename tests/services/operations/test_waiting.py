"""What waits says what for: its place, its node's limit, busy workers or none at all; from a real Redis."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from rq import Worker
from rq.serializers import JSONSerializer
from sqlalchemy import select

from ravada_web.extensions import db, queues
from ravada_web.messages import message
from ravada_web.models import Clone, CloneState, Node, Operation, OperationState, now
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.live.digests import digests
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.operations import waiting, workers
from ravada_web.services.operations.kinds import QUEUES
from ravada_web.services.operations.requests import request
from ravada_web.services.transaction import transaction
from ravada_web.web.filters import place
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes, make_operation


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


def asked(
    people: People, kind: str, count: int = 1, node_id: int | None = None, *, awaited: bool = False
) -> list[Operation]:
    with transaction() as session:
        node = session.get_one(Node, node_id) if node_id else None
        return [
            request(session, kind, f"{kind} {number}", actor=people.user, node=node, awaited=awaited)
            for number in range(count)
        ]


@pytest.fixture
def viewer(people: People):  # type: ignore[no-untyped-def]
    return people.operator


def test_a_queue_without_a_worker_is_shouted_about(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    (row,) = asked(people, "viewer_offer")
    reason = waiting.explain(viewer, [row])[row.id].reason
    assert (reason.kind, reason.figures) == ("operations.no_worker", {"queue": "interactive"})
    workers._Known.at = -workers.ASKED_EVERY
    assert set(workers.unserved()) == set(QUEUES)


def test_a_worker_that_was_not_heard_of_serves_nothing(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    with worker("interactive"):
        key = next(iter(queues.redis.scan_iter("rq:worker:*")))
        queues.redis.hset(key, "last_heartbeat", (now() - timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        (row,) = workers.listing()
        assert not row.alive
        assert "interactive" in {queue.name for queue in workers.queue_rows([row]) if queue.unserved}


def past(seconds_each: float, items: int = 1) -> None:
    """One that is over, and took so long for each of the things it was about."""
    begun = now() - timedelta(minutes=5)
    end = begun + timedelta(seconds=seconds_each * items)
    make_operation(state=OperationState.DONE, started_at=begun, finished_at=end, items=items)


def running(since_seconds: float, items: int = 1, **values: Any) -> None:
    started = now() - timedelta(seconds=since_seconds)
    make_operation(state=OperationState.RUNNING, started_at=started, items=items, **values)


def seconds_of(viewer, rows: Sequence[Operation]) -> list[int | None]:  # type: ignore[no-untyped-def]
    """Until the turn of each, in whole seconds."""
    seen = waiting.explain(viewer, rows)
    return [None if (known := seen[row.id].seconds) is None else round(known) for row in rows]


def test_the_time_comes_from_what_is_past_and_from_the_sizes_of_those_ahead(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    for seconds, items in ((0.5, 1), (2, 4), (9, 25)):
        past(seconds, items)
    running(4, items=10)
    first, second, third = asked(people, "clones_start", 3)
    change(Operation, Operation.id == first.id, items=5)
    with worker("batches", state="busy"):
        seen = waiting.explain(viewer, [first, second, third])
        assert seconds_of(viewer, [first, second, third]) == [16, 26, 28]
    assert [seen[row.id].position for row in (first, second, third)] == [1, 2, 3]
    assert seen[first.id].reason.kind == "operations.workers_busy" and seen[first.id].reason.figures["count"] == 1


def test_workers_side_by_side_shorten_it(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    past(10)
    for seconds in (2, 5):
        running(seconds, awaited=True)
    rows = asked(people, "clones_start", 4, awaited=True)
    with worker("interactive", state="busy"), worker("interactive", state="busy"):
        assert seconds_of(viewer, rows) == [5, 8, 15, 18]


def test_waves_held_back_by_their_nodes_limit_take_their_turn_one_after_another(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    past(1)
    one, other = make_nodes(2)
    here, there = asked(people, "clones_start", 3, one), asked(people, "clones_start", 1, other)
    change(Operation, Operation.state == OperationState.WAITING, items=4)
    with worker("batches"), worker("batches"), worker("batches"):
        assert seconds_of(viewer, [*here, *there]) == [None, 4, 8, None]


@pytest.mark.parametrize(
    "unknown", ["no past", "size of one ahead", "one that takes longer than usual", "what a worker does"]
)
def test_what_is_not_known_is_not_guessed(people: People, viewer, unknown: str) -> None:  # type: ignore[no-untyped-def]
    past(10)
    if unknown == "no past":
        change(Operation, items=None)
    if unknown != "what a worker does":
        running(60 if unknown == "one that takes longer than usual" else 1)
    first, second = asked(people, "clones_start", 2)
    if unknown == "size of one ahead":
        change(Operation, Operation.id == first.id, items=None)
    with worker("batches", state="busy"):
        assert seconds_of(viewer, [second]) == [None]
        assert waiting.explain(viewer, [second])[second.id].position == 2


@pytest.mark.parametrize(("seconds", "shown"), [
    (0, "5 s"), (0.4, "5 s"), (16, "20 s"), (41, "50 s"), (61, "2 min"), (900, "15 min"), (4000, "1 h 30 min"),
])  # fmt: skip
def test_it_is_shown_no_finer_than_it_is_known(app: Flask, seconds: float, shown: str) -> None:
    with app.test_request_context():
        text = place(waiting.Waiting(message("operations.starting_shortly"), 2, seconds))
    assert text == f"Position 2 in the queue. Starts in about {shown}."


def test_a_nodes_limit_is_named_with_what_holds_it(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    (node_id,) = make_nodes(1)
    rows = asked(people, "clones_create", 4, node_id)
    with worker("batches"):
        seen = waiting.explain(viewer, rows)
        (row,) = [queue for queue in workers.queue_rows(workers.listing()) if queue.name == "batches"]
    assert (row.waiting, row.held_back) == (2, 2)
    assert "Node n1 runs 2 of these at a time. Now running: “clones_create 0”." in str(seen[rows[2].id].reason)
    assert [seen[row.id].position for row in rows[2:]] == [1, 2]


def test_the_number_of_questions_does_not_grow(app: Flask, people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    from tests.web.test_safety import counted_queries

    counts = []
    for count in (2, 30):
        rows = asked(people, "clones_start", count)
        kinds = [(row.id, row.kind) for row in rows]
        with worker("batches", state="busy"), counted_queries() as seen:
            assert len(waiting.explain(viewer, rows)) == len(kinds)
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_without_redis_the_rows_still_show(people: People, viewer) -> None:  # type: ignore[no-untyped-def]
    rows = asked(people, "clones_start", 2)
    queues.connect("unix:///nonexistent/redis.sock")
    assert waiting.explain(viewer, rows) == {}
    assert operation_list.listing(viewer, operation_list.Filters()).total == 2
    db.session.rollback()


def test_a_page_that_shows_a_place_changes_when_others_are_over(people: People) -> None:
    ids = [f"clone-{clone_id}" for clone_id in waiting_clones(people)] + [f"desktops-{people.user.id}"]
    before = digests(ids)
    running(1)
    assert all(before[topic] != seen for topic, seen in digests(ids).items())
    change(Clone, state=CloneState.RUNNING, operation_id=None)
    settled = digests(ids)
    running(1)
    assert digests(ids) == settled


def waiting_clones(people: People) -> Sequence[int]:
    request_clones(people.administrator, Request(make_base(make_nodes(1)), 2, "pc", people.user.name))
    return db.session.scalars(select(Clone.id)).all()
