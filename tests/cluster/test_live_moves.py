"""A desktop that runs moves from node to node and goes on running: what was written on its disk and what stood in its
memory is there, whoever is killed meanwhile, and it runs on one node alone."""

import os
import signal
from collections.abc import Iterator

import pytest

from ravada_web.models import CloneState, Operation, OperationState
from ravada_web.services.moves.requests import DEFAULT, LiveLimits
from ravada_web.services.operations import requests as operation_requests
from tests.lab.keyboard import typed
from tests.lab.node import LabNode
from tests.lab.screen import read_screen, screenshot
from tests.support.cluster import Cluster
from tests.support.roaming import CLIPBOARD, Roamer, horses, over, under_way
from tests.support.servers import wait_until
from tests.support.ticking import assert_marked, mark_disk

# So slow a network that a move can be met in its middle.
SLOW_MBIT = 20
# What its guest is told, and nothing on its disk says.
KNOWN = "m4rk"


@pytest.fixture
def nodes(cluster: Cluster) -> dict[str, LabNode]:
    return {node.name: node for node in cluster.lab.nodes}


@pytest.fixture
def roamer(cluster: Cluster, nodes: dict[str, LabNode]) -> Iterator[Roamer]:
    """A desktop that runs, with a clipboard."""
    (clone,) = cluster.create("roamer", 1)
    here = nodes[clone.node.name]
    here.run(["virsh", "attach-device", "--config", clone.name, "/dev/stdin"], stdin=CLIPBOARD)
    made = Roamer(cluster, "roamer")
    made.start()
    yield made


def assert_whole(roamer: Roamer) -> None:
    """It runs: what was written on its disk and what stands in its memory are there, and so is its clipboard."""
    node, name = roamer.node, roamer.name
    assert roamer.row.state == CloneState.RUNNING, roamer.row.reason
    assert_marked(node, roamer.disk, [(9, 0x5A)])
    roamer.assert_has_clipboard()
    said = read_screen(screenshot(node, name)).count(KNOWN)
    typed(node, name, "hostname")
    wait_until(lambda: read_screen(screenshot(node, name)).count(KNOWN) > said, 60, "it knows what it was told before")


def assert_stays(roamer: Roamer, where: str) -> None:
    """It is one, and runs there."""
    roamer.assert_one()
    assert (roamer.row.state, roamer.row.node.name) == (CloneState.RUNNING, where), roamer.row.reason


def test_it_goes_on_running_whatever_happens(cluster: Cluster, nodes: dict[str, LabNode], roamer: Roamer) -> None:
    name = roamer.name
    wait_until(lambda: f"name: {name}" in read_screen(screenshot(roamer.node, name)), 90, "it has started")
    typed(roamer.node, name, f"hostname {KNOWN}")
    mark_disk(roamer.node, name, [(9, 0x5A)])

    def begin(limits: LiveLimits = DEFAULT) -> tuple[LabNode, Operation]:
        """A move that is met in its middle: where it goes, and its operation."""
        to = roamer.others[0]
        to.slow(SLOW_MBIT)
        asked = roamer.ask(to, limits=limits)
        wait_until(lambda: under_way(asked.id), 60, "it is under way")
        return to, asked

    # There and back.
    for _way in range(2):
        to = roamer.others[0]
        done = over(roamer.ask(to).id)
        assert (done.state, done.error.kind) == (OperationState.DONE, "")
        assert_stays(roamer, to.name)
    assert_whole(roamer)

    # Cancelled, it stays.
    stays = roamer.node.name
    to, asked = begin()
    operation_requests.cancel(cluster.admin, [asked.id])
    assert over(asked.id).state == OperationState.CANCELLED
    to.slow(None)
    assert_stays(roamer, stays)

    # Too slow, it stays where that was asked for.
    to, asked = begin(LiveLimits(deadline_seconds=1, at_deadline="give_up"))
    assert over(asked.id).error.kind == "moves.too_late"
    to.slow(None)
    assert_stays(roamer, stays)

    # Too slow, it is paused until the rest is there, where that was asked for.
    here = roamer.node
    to, asked = begin(LiveLimits(deadline_seconds=1, at_deadline="stop"))
    wait_until(lambda: here.virsh("domstate", name).strip() == "paused", 30, "it is paused")
    to.slow(None)
    assert over(asked.id).state == OperationState.DONE
    assert_stays(roamer, to.name)

    # The worker is killed: the next attempt looks where it runs, and goes on.
    to, asked = begin()
    for horse in horses(cluster):
        os.kill(horse, signal.SIGKILL)
    to.slow(None)
    done = over(asked.id)
    assert (done.state, done.error.kind) == (OperationState.DONE, "")
    assert done.attempt > 1
    assert_stays(roamer, to.name)
    assert_whole(roamer)
