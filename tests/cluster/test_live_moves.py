"""A desktop that runs moves from node to node and goes on running: what was written on its disk and what stood in its
memory is there, whoever is killed meanwhile, and it runs on one node alone."""

import os
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from jobs.parent import MOVERS
from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Operation, OperationState, Remains
from ravada_web.services.moves import requests
from ravada_web.services.moves.requests import DEFAULT, LiveLimits
from ravada_web.services.operations import requests as operation_requests
from tests.lab.keyboard import typed
from tests.lab.node import LabNode
from tests.lab.screen import read_screen, screenshot
from tests.support.cluster import IMAGES, Cluster
from tests.support.processes import children_by_name
from tests.support.servers import wait_until

CLIPBOARD = """<channel type='qemu-vdagent'><source><clipboard copypaste='yes'/></source>
<target type='virtio' name='com.redhat.spice.0'/></channel>"""
# So slow a network that a move can be met in its middle.
SLOW_MBIT = 20
# What its guest is told, and nothing on its disk says.
KNOWN = "m4rk"
DEVICE = "/machine/peripheral/virtio-disk0/virtio-backend"


@pytest.fixture
def nodes(cluster: Cluster) -> dict[str, LabNode]:
    return {node.name: node for node in cluster.lab.nodes}


@pytest.fixture
def roamer(cluster: Cluster, nodes: dict[str, LabNode]) -> Iterator[Clone]:
    """A desktop that runs, with a clipboard."""
    (clone,) = cluster.create("roamer", 1)
    here = nodes[clone.node.name]
    here.run(["virsh", "attach-device", "--config", clone.name, "/dev/stdin"], stdin=CLIPBOARD)
    cluster.flask("clones", "start", clone.name, "--wait")
    yield cluster.wait_state("roamer", CloneState.RUNNING)[0]


def place(cluster: Cluster) -> str:
    return cluster.clones("roamer")[0].node.name


def other(cluster: Cluster, nodes: dict[str, LabNode]) -> str:
    return next(name for name in nodes if name != place(cluster))


def ask(cluster: Cluster, to: str, limits: LiveLimits = DEFAULT) -> Operation:
    (clone,) = cluster.clones("roamer")
    return requests.request_move(cluster.admin, clone.id, cluster.node(to).id, live=True, limits=limits)


def over(operation_id: int) -> Operation:
    def is_over() -> bool:
        db.session.rollback()
        return db.session.get_one(Operation, operation_id).over

    wait_until(is_over, 60, "the move is over")
    return db.session.get_one(Operation, operation_id)


def horses(cluster: Cluster) -> list[int]:
    """The processes that move a desktop now."""
    jobs = [job for worker in MOVERS for job in children_by_name(cluster.pid_of(worker)).items()]
    return [pid for name, pid in jobs if name.endswith(" of moves")]


def assert_one(cluster: Cluster, nodes: dict[str, LabNode]) -> None:
    """It is one domain, which runs where its row says; nothing of it is anywhere else."""

    def nothing_left() -> bool:
        db.session.rollback()
        return db.session.scalar(select(Remains.id)) is None

    wait_until(nothing_left, 60, "what is left is removed")
    (clone,) = cluster.clones("roamer")
    assert clone.state == CloneState.RUNNING, clone.reason
    for name, node in nodes.items():
        mine = name == clone.node.name
        assert (clone.name in node.virsh("list", "--name").split()) == mine, name
        assert (clone.name in cluster.domains(node)) == mine, name
        assert cluster.disks(node, "roamer") == ([clone.disk_file("vda")] if mine else []), name
        assert node.run(["sh", "-c", "ls -d /run/libvirt/ravada-move-* || :"]).stdout == "", name
    assert not list(cluster.settings.links_dir.glob("m*.[01]"))
    assert clone.display and nodes[clone.node.name].run(["test", "-S", clone.display]).returncode == 0


def assert_whole(cluster: Cluster, nodes: dict[str, LabNode], name: str) -> None:
    """What was written on its disk and what stands in its memory are there, and so is its clipboard."""
    node = nodes[place(cluster)]
    (clone,) = cluster.clones("roamer")
    read = ["qemu-io", "-r", "-U", "-c", "read -P 0x5a 9M 1M", f"{IMAGES}/{clone.disk_file('vda')}"]
    assert "verification failed" not in node.run(read).stdout
    assert node.virsh("dumpxml", name).count("type='qemu-vdagent'") == 1
    said = read_screen(screenshot(node, name)).count(KNOWN)
    typed(node, name, "hostname")
    wait_until(lambda: read_screen(screenshot(node, name)).count(KNOWN) > said, 60, "it knows what it was told before")


def under_way(operation_id: int) -> bool:
    """Whether it is seen to copy; one that is over already was too quick, or had too little time, to be seen."""
    db.session.rollback()
    row = db.session.get_one(Operation, operation_id)
    return row.message.kind == "moves.migrating" or row.over


def test_it_goes_on_running_whatever_happens(cluster: Cluster, nodes: dict[str, LabNode], roamer: Clone) -> None:
    name, first = roamer.name, place(cluster)
    wait_until(lambda: f"name: {name}" in read_screen(screenshot(nodes[first], name)), 90, "it has started")
    typed(nodes[first], name, f"hostname {KNOWN}")
    nodes[first].virsh("qemu-monitor-command", name, "--hmp", f'qemu-io -d {DEVICE} "write -P 0x5a 9M 1M"')

    def begin(limits: LiveLimits = DEFAULT) -> tuple[str, Operation]:
        """A move that is met in its middle: where it goes, and its operation."""
        to = other(cluster, nodes)
        nodes[to].slow(SLOW_MBIT)
        asked = ask(cluster, to, limits)
        wait_until(lambda: under_way(asked.id), 60, "it is under way")
        return to, asked

    # There and back.
    for _way in range(2):
        to = other(cluster, nodes)
        done = over(ask(cluster, to).id)
        assert (done.state, done.error.kind, place(cluster)) == (OperationState.DONE, "", to)
        assert_one(cluster, nodes)
    assert_whole(cluster, nodes, name)

    # Cancelled, it stays.
    stays = place(cluster)
    to, asked = begin()
    operation_requests.cancel(cluster.admin, [asked.id])
    assert over(asked.id).state == OperationState.CANCELLED
    nodes[to].slow(None)
    assert place(cluster) == stays
    assert_one(cluster, nodes)

    # Too slow, it stays where that was asked for.
    to, asked = begin(LiveLimits(deadline_seconds=1, at_deadline="give_up"))
    assert over(asked.id).error.kind == "moves.too_late"
    nodes[to].slow(None)
    assert place(cluster) == stays
    assert_one(cluster, nodes)

    # Too slow, it is paused until the rest is there, where that was asked for.
    here = nodes[place(cluster)]
    to, asked = begin(LiveLimits(deadline_seconds=1, at_deadline="stop"))
    wait_until(lambda: here.virsh("domstate", name).strip() == "paused", 30, "it is paused")
    nodes[to].slow(None)
    assert over(asked.id).state == OperationState.DONE
    assert place(cluster) == to
    assert_one(cluster, nodes)

    # The worker is killed: the next attempt looks where it runs, and goes on.
    to, asked = begin()
    for horse in horses(cluster):
        os.kill(horse, signal.SIGKILL)
    nodes[to].slow(None)
    done = over(asked.id)
    assert (done.state, done.error.kind, place(cluster)) == (OperationState.DONE, "", to)
    assert done.attempt > 1
    assert_one(cluster, nodes)
    assert_whole(cluster, nodes, name)
