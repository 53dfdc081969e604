"""Guests that ignore their power button, that boot or are paused while they are asked to shut down: nobody waits."""

import os
import signal
import time

import pytest
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Base, Clone, CloneState, Observed, Operation, OperationState
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.desktops import launching
from tests.lab.screen import read_screen, screenshot
from tests.support.cluster import IMAGES, Cluster, make_base, seconds_until
from tests.support.servers import wait_until

BLANK = f"{IMAGES}/blank.qcow2"


@pytest.fixture
def blank(cluster: Cluster) -> str:
    """The name of a base whose clones have nothing to boot: their firmware ignores the power button."""
    if db.session.scalar(select(Base).where(Base.name == "blank")) is None:
        cluster.lab.master.run(["qemu-img", "create", "-q", "-f", "qcow2", BLANK, "8M"])
        make_base(cluster, "blank", [BLANK])
    return "blank"


def running(cluster: Cluster, prefix: str, count: int, base: str = "linux") -> list[Clone]:
    """Clones that run."""
    cluster.create(prefix, count, "--start", base=base)
    return cluster.wait_state(prefix, CloneState.RUNNING)


def state_of(clone: Clone) -> CloneState:
    db.session.rollback()
    return CloneState(db.session.get_one(Clone, clone.id).state)


def operation_on(clone: Clone) -> Operation:
    """The operation that works on the clone, or did so last."""
    db.session.rollback()
    return db.session.get_one(Operation, db.session.get_one(Clone, clone.id).operation_id)


def read(operation: Operation) -> Operation:
    """The same one, read anew."""
    db.session.rollback()
    return db.session.get_one(Operation, operation.id)


def launch_seconds(cluster: Cluster, clone: Clone) -> float:
    """How long a launch takes, from the request until it runs; it is forced off again."""
    launching.launch(cluster.admin, clone.id)
    taken = seconds_until(lambda: state_of(clone) == CloneState.RUNNING, 30, "it runs")
    clone_actions.force_off(cluster.admin, [clone.id])
    wait_until(lambda: state_of(clone) == CloneState.STOPPED, 30, "it is off again")
    return taken


@pytest.mark.clock
def test_a_launch_and_a_force_off_do_not_wait_for_guests_that_ignore_their_button(cluster: Cluster, blank: str) -> None:
    stubborn = running(cluster, "stubborn", 2, blank)
    (idle,) = cluster.create("idle", 1)
    usual = launch_seconds(cluster, idle)
    for clone in stubborn:
        clone_actions.shut_down(cluster.admin, [clone.id])
    wait_until(lambda: all(operation_on(clone).state == OperationState.WATCHED for clone in stubborn), 10, "asked")
    meanwhile = launch_seconds(cluster, idle)
    print(f"a launch took {usual:.2f} s, while two were shut down {meanwhile:.2f} s")
    assert meanwhile < usual + 3, "neither behind the two, nor behind what looks at them"
    assert {state_of(clone) for clone in stubborn} == {CloneState.STOPPING}
    asked = operation_on(stubborn[0])
    clone_actions.force_off(cluster.admin, [stubborn[0].id])
    taken = seconds_until(lambda: state_of(stubborn[0]) == CloneState.STOPPED, 2, "it is off")
    print(f"forced off after {taken:.2f} s")
    wait_until(lambda: read(asked).over, 5, "it is replaced")
    assert state_of(stubborn[1]) == CloneState.STOPPING
    cluster.flask("clones", "stop", "--force", stubborn[1].name, "--wait")


def test_a_guest_that_still_boots_is_asked_again(cluster: Cluster) -> None:
    (clone,) = running(cluster, "boots", 1)
    cluster.flask("clones", "stop", clone.name, "--wait")
    assert state_of(clone) == CloneState.STOPPED


def test_a_paused_guest_goes_on_to_shut_down(cluster: Cluster) -> None:
    (clone,) = running(cluster, "paused", 1)
    node = next(node for node in cluster.lab.nodes if node.name == clone.node.name)
    wait_until(lambda: f"name: {clone.name}" in read_screen(screenshot(node, clone.name)), 90, "it has booted")
    node.virsh("suspend", clone.name)
    wait_until(lambda: state_of(clone) == CloneState.PAUSED, 15, "it is seen paused")
    cluster.flask("clones", "stop", clone.name, "--wait")
    assert state_of(clone) == CloneState.STOPPED


def test_a_restart_goes_on_when_those_who_look_are_killed(cluster: Cluster) -> None:
    (clone,) = running(cluster, "again", 1)
    node = next(node for node in cluster.lab.nodes if node.name == clone.node.name)
    before = node.virsh("domid", clone.name)
    clone_actions.restart(cluster.admin, [clone.id])
    asked = operation_on(clone)
    wait_until(lambda: operation_on(clone).state == OperationState.WATCHED, 10, "it was asked")
    for name in ("ticker", "worker checks 1", "worker checks 2"):
        os.kill(cluster.pid_of(name), signal.SIGKILL)
    wait_until(lambda: read(asked).over, 90, "it is over")
    assert read(asked).state == OperationState.DONE
    assert state_of(clone) == CloneState.RUNNING
    assert node.virsh("domid", clone.name) != before


def test_a_node_that_dies_in_the_middle_is_settled_when_it_is_back(cluster: Cluster, blank: str) -> None:
    rows = running(cluster, "middle", 3, blank)
    (clone,) = [row for row in rows if row.node.name == "rvt2"]
    clone_actions.shut_down(cluster.admin, [clone.id])
    wait_until(lambda: operation_on(clone).state == OperationState.WATCHED, 10, "it was asked")
    begun = time.monotonic()
    cluster.lab.nodes[1].kill()
    wait_until(lambda: cluster.node("rvt2").observed == Observed.DOWN, 15, "it is down")
    wait_until(lambda: "rvt2 is not responding" in str(operation_on(clone).message), 5, "its page says so")
    cluster.lab.nodes[1].start()
    wait_until(lambda: operation_on(clone).over, 60, "it is over")
    assert time.monotonic() - begun < 100, "before its deadline"
    assert (operation_on(clone).state, state_of(clone)) == (OperationState.DONE, CloneState.STOPPED)


def test_a_machine_that_hangs_keeps_no_other_one_waiting(cluster: Cluster, blank: str) -> None:
    cluster.create("hangs", 6, "--start", base=blank)
    rows = cluster.wait_state("hangs", CloneState.RUNNING)
    (hung, other) = [row for row in rows if row.node.name == "rvt2"]
    host = cluster.lab.nodes[1]
    process = host.run(["cat", f"/run/libvirt/qemu/{hung.name}.pid"]).stdout.strip()
    host.run(["kill", "-STOP", process])
    try:
        clone_actions.shut_down(cluster.admin, [hung.id, other.id])
        asked = operation_on(hung)
        wait_until(lambda: read(asked).state == OperationState.WATCHED, 10, "no worker holds it")
        host.virsh("destroy", other.name)
        wait_until(lambda: state_of(other) == CloneState.STOPPED, 10, "the other one is seen off")
        clone_actions.force_off(cluster.admin, [hung.id])
        wait_until(lambda: state_of(hung) == CloneState.STOPPED, 30, "the one that hangs is off too")
    finally:
        host.run(["sh", "-c", f"kill -CONT {process} || true"])
