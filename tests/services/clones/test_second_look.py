"""What is refused for what may have been mended since is asked again of a fresh look; other refusals stand at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from flask import Flask

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Node, Observed, Pool
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.errors import NodeRefuses, NoRoom
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.desktops import launching
from ravada_web.services.operations.outbox import queue
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes


@pytest.fixture
def base_id(people: People) -> int:
    """A base on a node whose pool was seen off half a minute ago."""
    (node_id,) = make_nodes(1)
    made = make_base([node_id])
    request_clones(people.administrator, Request(made, 1, "old", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    change(Pool, active=False)
    return made


@contextmanager
def checks(app: Flask) -> Iterator[list[tuple[int, ...]]]:
    """A worker of the checks: the pool was started since, and whoever looks sees that. Yields what it was asked."""
    asked: list[tuple[int, ...]] = []

    def work() -> None:
        end = time.monotonic() + 10
        while not asked and time.monotonic() < end:
            asked.extend(tuple(job.args) for job in queue("checks").get_jobs() if job.func_name == "jobs.nodes.look")
            time.sleep(0.01)
        with app.app_context():
            change(Pool, active=True)
            change(Node, facts_round=1)
            db.session.remove()

    thread = Thread(target=work)
    thread.start()
    yield asked
    thread.join()


def test_new_clones_are_placed_where_the_pool_is_back_since_a_moment_ago(
    app: Flask, people: People, base_id: int
) -> None:
    with checks(app) as asked:
        request_clones(people.administrator, Request(base_id, 1, "new", people.user.name))
    assert asked == [(1,)]


def test_a_start_and_a_launch_see_it_too(app: Flask, people: People, base_id: int) -> None:
    with checks(app):
        assert clone_actions.start(people.administrator, [1]).require_some().done
    change(Clone, state=CloneState.STOPPED)
    change(Pool, active=False)
    change(Node, facts_round=0)
    queue("checks").empty()
    with checks(app):
        assert launching.launch(people.user, 1).state == CloneState.STARTING


def test_what_is_still_so_is_refused(people: People, base_id: int) -> None:
    with pytest.raises(NoRoom):
        request_clones(people.administrator, Request(base_id, 1, "new", people.user.name))
    with pytest.raises(NodeRefuses):
        clone_actions.start(people.administrator, [1]).require_some()


def test_other_refusals_ask_nobody(people: People, base_id: int) -> None:
    change(Pool, active=True)
    change(Node, observed=Observed.DOWN)
    with pytest.raises(NoRoom):
        request_clones(people.administrator, Request(base_id, 1, "new", people.user.name))
    assert queue("checks").count == 0
