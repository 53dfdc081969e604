"""Nodes die, hang, are cut off and come back; workers are killed. What was asked for is done, and nothing is lost."""

import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.parent import WORKERS
from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Observed, Operation, Trust, now
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.errors import NodeRefuses
from ravada_web.services.clones.obstacles import Obstacle
from ravada_web.services.joining import host_keys
from ravada_web.services.operations import workers as operations_workers
from ravada_web.services.operations.processes import process_start
from tests.lab.screen import read_screen, screenshot
from tests.support.cluster import IMAGES, Cluster, seconds_until
from tests.support.processes import children
from tests.support.servers import answers, wait_until

# How soon a death is seen is a promise, and other labs beside this one keep the processors busy.
pytestmark = pytest.mark.clock


def page_seconds(cluster: Cluster) -> float:
    """How long a page takes now."""
    begun = time.monotonic()
    with urllib.request.urlopen(f"{cluster.url}/login", timeout=10) as answer:
        assert answer.status == 200
    return time.monotonic() - begun


def age(cluster: Cluster, name: str) -> float:
    """Seconds since a node was last seen."""
    seen = cluster.node(name).last_seen_at
    return (now() - seen).total_seconds() if seen else float("inf")


def test_a_killed_node_is_down_within_10_seconds_gets_none_and_comes_back(cluster: Cluster) -> None:
    (before,) = [clone for clone in cluster.create("dead", 3) if clone.node.name == "rvt2"]
    name = before.name
    cluster.lab.nodes[1].kill()
    taken = seconds_until(lambda: cluster.node("rvt2").observed == Observed.DOWN, 10, "it is down")
    assert "rvt2" in str(cluster.node("rvt2").reason), "the reason names it, in words"
    assert page_seconds(cluster) < 1
    cluster.create("after", 4)
    assert cluster.spread("after") == {"rvt1": 2, "rvt2": 0, "rvt3": 2}
    states = {clone.name: clone.state for clone in cluster.clones("dead")}
    assert states.pop(name) == CloneState.UNREACHABLE and set(states.values()) == {CloneState.STOPPED}
    assert refused_start(cluster, before) == Obstacle.AWAY
    cluster.lab.nodes[1].start()
    wait_until(lambda: cluster.node("rvt2").observed == Observed.UP, 30, "it is back")
    cluster.wait_state("dead", CloneState.STOPPED, 20)
    print(f"down after {taken:.1f} s")


def test_a_node_that_is_cut_off_is_down_and_back_when_the_cable_is(cluster: Cluster) -> None:
    cluster.lab.nodes[2].partition()
    seconds_until(lambda: cluster.node("rvt3").observed == Observed.DOWN, 10, "it is down")
    cluster.lab.nodes[2].heal()
    seconds_until(lambda: cluster.node("rvt3").observed == Observed.UP, 30, "it is up")


def test_a_hung_libvirtd_delays_no_other_nodes_check_clone_or_page(cluster: Cluster) -> None:
    cluster.lab.nodes[1].hang()
    wait_until(lambda: cluster.node("rvt2").observed == Observed.DEGRADED, 15, "it is degraded")
    assert cluster.node("rvt2").reason.kind == "nodes.libvirt_silent"
    begun = time.monotonic()
    cluster.create("hung", 4)
    assert time.monotonic() - begun < 10
    assert cluster.spread("hung") == {"rvt1": 2, "rvt2": 0, "rvt3": 2}
    assert page_seconds(cluster) < 1
    worst = 0.0
    while time.monotonic() < begun + 12:
        worst = max(worst, age(cluster, "rvt1"), age(cluster, "rvt3"))
        time.sleep(0.2)
    assert worst < 8, "the other nodes are checked every 5 s as before"
    cluster.lab.nodes[1].resume()
    wait_until(lambda: cluster.node("rvt2").observed == Observed.UP, 70, "it is up again, by ten good checks at most")


def test_a_changed_host_key_quarantines_the_node_until_it_is_accepted_anew(cluster: Cluster) -> None:
    node = cluster.lab.nodes[2]
    node.rotate_host_key()
    node.kill()
    node.start()
    wait_until(lambda: cluster.node("rvt3").trust == Trust.CHANGED, 40, "it is quarantined")
    assert cluster.node("rvt3").reason.kind.startswith("remote.host_key_")
    cluster.create("trust", 2)
    assert cluster.spread("trust")["rvt3"] == 0
    scan = host_keys.request_rekey(cluster.admin, cluster.node("rvt3"))
    wait_until(lambda: over(scan.id), 20, "the new key is read")
    assert db.session.get_one(Operation, scan.id).result["fingerprint"] == node.host_key_fingerprint
    join = host_keys.accept_join(cluster.admin, scan.id, node.host_key_fingerprint)
    wait_until(lambda: over(join.id), 30, "it is joined again")
    assert cluster.node("rvt3").trust == Trust.PINNED
    wait_until(lambda: cluster.node("rvt3").observed == Observed.UP, 20, "it is up")


def over(operation_id: int) -> bool:
    db.session.rollback()
    return db.session.get_one(Operation, operation_id).over


@pytest.mark.parametrize("victim", ["horse", "parent", "both"])
def test_workers_killed_in_mid_creation_leave_exactly_the_asked_for_clones(cluster: Cluster, victim: str) -> None:
    prefix = f"kill{victim}"
    cluster.made.append(prefix)
    workers = [cluster.pid_of(f"worker batches {number}") for number in (1, 2, 3)]
    wanted = clone_requests.Request(cluster.base_id, 75, prefix, cluster.admin.name)
    clone_requests.request_clones(cluster.admin, wanted)
    horses = caught_at_work(workers)
    for process_id in {"horse": horses, "parent": workers, "both": workers + horses}[victim]:
        if process_start(process_id):
            os.kill(process_id, signal.SIGKILL)
    cluster.wait_state(prefix, CloneState.STOPPED, 30)
    cluster.wait_operations()
    assert cluster.spread(prefix) == {"rvt1": 25, "rvt2": 25, "rvt3": 25}
    for node in cluster.lab.nodes:
        expected = {clone.name for clone in cluster.clones(prefix) if clone.node.name == node.name}
        assert {name for name in cluster.domains(node) if name.startswith(prefix)} == expected
        files = {clone.disk_file("vda") for clone in cluster.clones(prefix) if clone.node.name == node.name}
        assert set(cluster.disks(node, prefix)) == files, "no disk too many, none half-made"
        assert not [name for name in node.run(["ls", "-A", IMAGES]).stdout.split() if name.startswith(".op-")]


def caught_at_work(workers: list[int]) -> list[int]:
    """The work horses of these workers, as soon as there is one."""
    found: list[int] = []

    def look() -> bool:
        found.extend(horse for worker in workers for horse in children(worker))
        return bool(found)

    wait_until(look, 20, "a job is being done", poll=0.001)
    return found


@contextmanager
def redis_away(cluster: Cluster) -> Iterator[None]:
    """Redis ends, and cannot come back while a folder is where its socket should be."""
    socket = cluster.settings.redis_socket
    socket.unlink()
    socket.mkdir()
    try:
        os.kill(cluster.pid_of("redis"), signal.SIGKILL)
        yield
    finally:
        socket.rmdir()
        wait_until(lambda: answers(socket), 10, "Redis is back")


def test_while_redis_is_away_pages_show_and_nothing_is_half_written(cluster: Cluster) -> None:
    with redis_away(cluster):
        assert page_seconds(cluster) < 3
        refused = cluster.flask("clones", "create", "linux", "--prefix", "redis", check=False)
        assert refused.returncode == 1 and "temporarily unavailable" in refused.stderr
        assert cluster.clones("redis") == []
    cluster.create("redis", 2)
    wait_until(
        lambda: len(operations_workers.listing()) == sum(WORKERS.values()),
        30,
        "all are known again",
    )


def test_a_disabled_node_gets_none_and_can_have_its_clones_shut_down(cluster: Cluster) -> None:
    rows = cluster.create("off", 3, "--start")
    cluster.wait_state("off", CloneState.RUNNING)
    (there,) = [clone for clone in rows if clone.node.name == "rvt3"]
    wait_until(lambda: guest_is_up(cluster, there.name), 90, "its guest listens to the power button")
    try:
        cluster.flask("nodes", "disable", "rvt3", "--shut-down")
        wait_until(
            lambda: {c.name for c in cluster.clones("off") if c.state == CloneState.STOPPED} == {there.name},
            60,
            "it is off",
        )
        cluster.create("elsewhere", 2)
        assert cluster.spread("elsewhere")["rvt3"] == 0
        assert refused_start(cluster, there) == Obstacle.CLOSED
    finally:
        cluster.flask("nodes", "enable", "rvt3")


def refused_start(cluster: Cluster, clone: Clone) -> Obstacle:
    """What keeps a clone from starting, as the service says; the command line refuses it too."""
    with pytest.raises(NodeRefuses) as refused:
        clone_actions.start(cluster.admin, [clone.id]).require_some()
    told = cluster.flask("clones", "start", clone.name, check=False)
    assert told.returncode == 1 and clone.node.name in told.stderr
    return refused.value.obstacle


def guest_is_up(cluster: Cluster, name: str) -> bool:
    return f"name: {name}" in read_screen(screenshot(cluster.lab.nodes[2], name))
