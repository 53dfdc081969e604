"""The links process tells of its nodes by itself: no ticker, no worker and no round of checks has a part in it here."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from jobs.links import tell_changes
from ravada_web.extensions import db
from ravada_web.models import Away, Node, Observed
from ravada_web.remote.links import LinkKeeper, LinkState
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.outbox import queue
from ravada_web.services.transaction import transaction
from tests.support.factories import make_nodes
from tests.support.processes import tree
from tests.support.servers import wait_until
from tests.support.sshd import RunningSshd, start_sshd


class Links:
    """The rounds of the links process, one after another."""

    def __init__(self, app: Flask) -> None:
        self.app, self.keeper = app, LinkKeeper(endpoints.workspace())
        self.before: dict[int, LinkState] = {}

    def go_round(self) -> bool:
        """One round; whether all links are up."""
        targets = endpoints.targets_to_link().targets
        db.session.remove()
        states = self.keeper.reconcile(targets)
        tell_changes(self.app, targets, self.before, states)
        self.before = states
        return all(state.up for state in states.values())

    def go_until(self, observed: Observed) -> Node:
        """Rounds until the first node is seen so."""

        def reached() -> bool:
            self.go_round()
            return node().observed == observed

        wait_until(reached, 30, f"the node is {observed}")
        return node()


def node() -> Node:
    db.session.rollback()
    return db.session.scalars(select(Node)).one()


def waiting() -> list[list[int]]:
    """The nodes of the checks that are queued, in their order."""
    return [list(job.args) for job in queue("checks").jobs]


@pytest.fixture
def sshd(app: Flask) -> Iterator[RunningSshd]:
    """A host that lets us in, and the row of its node."""
    running = start_sshd(app.extensions["settings"].data / "sshd")
    running.authorize(endpoints.public_key())
    make_nodes(1)
    with transaction() as session:
        row = session.scalars(select(Node)).one()
        row.address, row.port, row.host_key = running.address, running.port, running.host_key_line
    yield running
    running.stop()


@pytest.fixture
def links(app: Flask, sshd: RunningSshd) -> Iterator[Links]:
    made = Links(app)
    wait_until(made.go_round, 30, "the link is up")
    yield made
    made.keeper.close()
    for thread in threading.enumerate():
        if thread.name == "changes":
            thread.join(30)


def test_a_host_that_dies_is_down_by_the_word_of_its_link(links: Links, sshd: RunningSshd) -> None:
    sshd.stop()
    found = links.go_until(Observed.DOWN)
    assert (found.away, found.reason.kind) == (Away.REFUSES, "remote.refused")
    again = start_sshd(sshd.folder, sshd.port)
    try:
        wait_until(lambda: links.go_round() and waiting() == [[found.id]], 30, "its return is looked at first")
    finally:
        again.stop()


def test_a_link_that_breaks_while_its_host_lives_is_no_death(links: Links, sshd: RunningSshd) -> None:
    queue("checks").enqueue("jobs.nodes.check", args=[77])
    for session in tree(sshd.process.pid)[1:]:
        os.kill(session, signal.SIGKILL)
    wait_until(lambda: links.go_round() or len(waiting()) > 1, 30, "it is looked at")
    wait_until(lambda: waiting() == [[node().id], [77]], 30, "and before all else")
    assert node().observed == Observed.UP


def test_an_sshd_that_is_restarted_with_all_its_connections_is_no_death(links: Links, sshd: RunningSshd) -> None:
    sshd.stop()
    begun = time.monotonic()
    wait_until(lambda: not links.go_round(), 30, "the link is gone")
    again = start_sshd(sshd.folder, sshd.port)
    late = time.monotonic() - begun > 1.5  # on a machine too busy to restart it in the time that is given
    try:
        wait_until(lambda: links.go_round() and waiting() != [], 30, "it is looked at, and its link is up again")
        assert late or node().observed == Observed.UP
    finally:
        again.stop()
