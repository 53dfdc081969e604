"""Whoever dies while a desktop that runs is being moved, it goes on running, on one node. By `make soak`."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Operation
from tests.cluster.test_live_moves import (
    KNOWN,
    SLOW_MBIT,
    ask,
    assert_one,
    horses,
    nodes,
    other,
    over,
    place,
    roamer,
    under_way,
)
from tests.lab.keyboard import typed
from tests.lab.node import LabNode
from tests.lab.screen import read_screen, screenshot
from tests.support.cluster import Cluster
from tests.support.servers import wait_until

__all__ = ["nodes", "roamer"]
KILLS = 40
# Longer than a move takes that is not slowed down.
LAST_MOMENT = 2.0
LIBVIRTD_DIES = ["sh", "-c", "kill -9 $(cat /run/libvirtd.pid); sleep 2; libvirtd -d"]


def is_cut_off(node: LabNode) -> None:
    node.partition()
    time.sleep(12)  # longer than SSH and libvirt wait for a word
    node.heal()


def settled(cluster: Cluster, nodes: dict[str, LabNode]) -> None:
    wait_until(lambda: cluster.clones("roamer")[0].state == CloneState.RUNNING, 90, "it runs")
    for node in nodes.values():
        node.slow(None)
    wait_until(lambda: all(cluster.node(name).is_reachable for name in nodes), 60, "all nodes are up")
    assert_one(cluster, nodes)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_whoever_dies_it_runs_on(cluster: Cluster, nodes: dict[str, LabNode], roamer: Clone) -> None:
    name = roamer.name

    def shown() -> list[str]:
        return read_screen(screenshot(nodes[place(cluster)], name))

    wait_until(lambda: f"name: {name}" in shown(), 90, "it has started")
    typed(nodes[place(cluster)], name, f"hostname {KNOWN}")
    qemu_dies = ["sh", "-c", f"kill -9 $(cat /run/libvirt/qemu/{name}.pid)"]
    faults: list[Callable[[LabNode, LabNode], object]] = [
        lambda _here, there: there.run(qemu_dies),
        lambda _here, there: there.run(LIBVIRTD_DIES),
        lambda here, _there: here.run(LIBVIRTD_DIES),
        lambda _here, there: is_cut_off(there),
        lambda here, _there: is_cut_off(here),
    ]
    for fault in faults:
        here, there = nodes[place(cluster)], nodes[other(cluster, nodes)]
        there.slow(SLOW_MBIT)
        asked = ask(cluster, there.name)
        wait_until(lambda id_=asked.id: under_way(id_), 60, "it is under way")
        fault(here, there)
        over(asked.id)
        settled(cluster, nodes)
        assert place(cluster) == here.name

    for _kill in range(KILLS):
        asked = ask(cluster, other(cluster, nodes))
        wait_until(lambda id_=asked.id: has_begun(id_), 30, "it has begun", poll=0.01)
        time.sleep(random.uniform(0, LAST_MOMENT))
        for horse in horses(cluster):
            os.kill(horse, signal.SIGKILL)
        over(asked.id)
        settled(cluster, nodes)

    before = shown().count(KNOWN)
    typed(nodes[place(cluster)], name, "hostname")
    wait_until(lambda: shown().count(KNOWN) > before, 60, "it knows what it was told before")


def has_begun(operation_id: int) -> bool:
    """Whether it may be on either node by now, or is over."""
    db.session.rollback()
    row = db.session.get_one(Operation, operation_id)
    return bool(row.result) or row.over
