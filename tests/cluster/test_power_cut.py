"""Hosts fall all at once, faster than it is seen, or again while they come back; and the product falls with them."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from threading import Event as Flag
from threading import Thread

import pytest
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import OVER, Base, Clone, CloneState, Event, Node, Observed, Operation, OperationState, Remains
from tests.lab import LabNode
from tests.support.cluster import IMAGES, Cluster, make_base, seconds_until
from tests.support.processes import children_by_name
from tests.support.servers import wait_until

# All is again as it was so long after the last libvirt answers; the machine may be busy with other labs.
PROMISED = 60
RUNNING, STOPPED, UNREACHABLE = CloneState.RUNNING, CloneState.STOPPED, CloneState.UNREACHABLE


@pytest.fixture
def empty(cluster: Cluster) -> str:
    """A base with nothing to boot: its guests are firmware alone, and cost next to nothing."""
    if db.session.scalar(select(Base).where(Base.name == "empty")) is None:
        path = f"{IMAGES}/empty.qcow2"
        cluster.lab.master.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "8M"])
        make_base(cluster, "empty", [path])
    return "empty"


def of(clones: list[Clone], node: LabNode) -> list[Clone]:
    return [clone for clone in clones if clone.node.name == node.name]


def running_on(node: LabNode) -> set[str]:
    """The names of the machines that run on a node now, none where it is dead."""
    with suppress(Exception):
        return set(node.virsh("list", "--name").split())
    return set()


@contextmanager
def watching(cluster: Cluster, found: list[str]) -> Iterator[None]:
    """Look again and again, meanwhile, for what runs on two of the nodes that can be reached."""
    over = Flag()

    def look() -> None:
        while not over.wait(0.3):
            counts = Counter(name for node in cluster.lab.nodes for name in running_on(node))
            found.extend(name for name, count in counts.items() if count > 1)

    thread = Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def events(node: Node, action: str) -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Event.id).where(Event.object_id == node.id, Event.action == action)).all())


def all_over() -> bool:
    """Whether no operation is under way."""
    db.session.rollback()
    return db.session.scalar(select(Operation.id).where(Operation.state.not_in(OVER)).limit(1)) is None


def failed_since(operation_id: int, *nodes: LabNode) -> list[tuple[str, str]]:
    """The kinds and the errors of later operations that failed; those on these nodes, which died, may have."""
    db.session.rollback()
    rows = db.session.scalars(select(Operation).where(Operation.id > operation_id)).all()
    dead = [node.name for node in nodes]
    failed = [row for row in rows if row.state == OperationState.FAILED]
    return [(row.kind, str(row.error)) for row in failed if row.node is None or row.node.name not in dead]


def newest_operation() -> int:
    db.session.rollback()
    return db.session.scalar(select(Operation.id).order_by(Operation.id.desc()).limit(1)) or 0


def stand_once(cluster: Cluster, *prefixes: str) -> Callable[[], bool]:
    """Whether each clone of these prefixes is defined on its own node, and nowhere else."""

    def is_so() -> bool:
        rows = {clone.name: clone.node.name for prefix in prefixes for clone in cluster.clones(prefix)}
        seen = [(name, node.name) for node in cluster.lab.nodes for name in cluster.domains(node) if name in rows]
        return sorted(seen) == sorted(rows.items())

    return is_so


def test_a_host_that_restarts_faster_than_it_is_seen_down_has_its_volatile_desktops_again(
    cluster: Cluster, empty: str
) -> None:
    node = cluster.lab.nodes[1]
    cluster.create("quick", 6, "--volatile", "--start", base=empty)
    names = {clone.name for clone in cluster.wait_state("quick", RUNNING)}
    there = [clone.name for clone in of(cluster.clones("quick"), node)]
    # One that its user has shut down before is no loss of the host's.
    shut = there.pop()
    node.virsh("destroy", shut)
    wait_until(lambda: shut not in [clone.name for clone in cluster.clones("quick")], 30, "it is thrown away")
    reboots = events(cluster.node(node.name), "rebooted")
    node.kill()
    node.start()
    wait_until(lambda: set(there) <= running_on(node) or not of(cluster.clones("quick"), node), PROMISED, "they run")
    rows = cluster.wait_state("quick", RUNNING)
    assert {row.name for row in rows} == names - {shut}
    assert events(cluster.node(node.name), "rebooted") == reboots + 1
    wait_until(stand_once(cluster, "quick"), 30, "each stands once")


def test_after_a_power_cut_of_all_hosts_and_of_the_product_all_is_as_it_was(cluster: Cluster, empty: str) -> None:
    cluster.create("kept", 3, "--start", base=empty)
    cluster.create("gone", 6, "--volatile", "--start", base=empty)
    kept = {clone.name: clone.uuid for clone in cluster.wait_state("kept", RUNNING)}
    names = {clone.name for clone in cluster.wait_state("gone", RUNNING)}
    newest = newest_operation()
    # Asked for, and not begun, or half done, when it happens.
    cluster.create("asked", 3, base=empty, wait=False)
    cluster.kill()
    for node in cluster.lab.nodes:
        node.kill()
    last, *others = cluster.lab.nodes
    for node in reversed(others):
        node.start()
    doubles: list[str] = []
    with watching(cluster, doubles):
        cluster.start()
        last.start()
        for node in cluster.lab.nodes:
            node.wait_ready()

        def as_before() -> bool:
            rows = [*cluster.clones("gone"), *cluster.clones("kept"), *cluster.clones("asked")]
            wanted = {"gone": RUNNING, "kept": STOPPED, "asked": STOPPED}
            return len(rows) == 12 and all(row.state == wanted[row.name.partition("-")[0]] for row in rows)

        taken = seconds_until(as_before, PROMISED, "all is as it was")
        print(f"as it was {taken:.1f} s after the last libvirt's answer")
        wait_until(stand_once(cluster, "gone", "kept", "asked"), 30, "each stands once")
    assert doubles == []
    assert {clone.name for clone in cluster.clones("gone")} == names
    assert {clone.name: clone.uuid for clone in cluster.clones("kept")} == kept
    wait_until(all_over, 30, "nothing is left to do")
    assert failed_since(newest) == []


def test_a_network_cut_in_two_starts_nothing_persistent_twice_and_what_was_made_again_is_resolved(
    cluster: Cluster, empty: str
) -> None:
    here, *away = cluster.lab.nodes
    cluster.create("kept", 3, "--start", base=empty)
    cluster.create("gone", 6, "--volatile", "--start", base=empty)
    kept = {clone.name: clone.node.name for clone in cluster.wait_state("kept", RUNNING)}
    former = cluster.wait_state("gone", RUNNING)
    cut_off = {nic.mac for clone in former if clone.node.name != here.name for nic in clone.nics}
    assert cut_off
    doubles: list[str] = []
    with watching(cluster, doubles):
        for node in away:
            node.partition()
        wait_until(lambda: len(of(cluster.clones("gone"), here)) == 6, 40, "all are given to this half")
        cluster.wait_state("gone", RUNNING)
        # Both halves live: here each name runs anew, there the former one goes on, with other addresses.
        assert {name for name in running_on(away[0]) if name.startswith("gone")}
        left = {mac for row in db.session.scalars(select(Remains)) for mac in row.macs}
        assert cut_off <= left and not left & {nic.mac for clone in cluster.clones("gone") for nic in clone.nics}
        there = [name for name, node in kept.items() if node != here.name]
        assert cluster.flask("clones", "start", *there, check=False).returncode
        assert {row.name for row in cluster.clones("kept") if row.state == UNREACHABLE} == set(there)
        for node in away:
            node.heal()

        def resolved() -> bool:
            for node in away:
                serves = cluster.node(node.name).observed == Observed.UP
                assert not (serves and {name for name in running_on(node) if name.startswith("gone")}), (
                    "two are reached"
                )
            return all(cluster.node(node.name).observed == Observed.UP for node in away)

        taken = seconds_until(resolved, PROMISED, "both halves serve again")
        print(f"resolved {taken:.1f} s after the halves met")
        wait_until(stand_once(cluster, "gone", "kept"), 30, "each stands once")
    assert not [name for name in doubles if name.startswith("kept")]
    cluster.wait_state("kept", RUNNING)
    assert {clone.name: clone.node.name for clone in cluster.clones("kept")} == kept
    assert {row.id for row in cluster.clones("gone")} == {row.id for row in former}
    wait_until(lambda: not any(of_remains(node) for node in away), 30, "nothing is left of the former ones")


@contextmanager
def killing(cluster: Cluster, most: int) -> Iterator[None]:
    """Kill, meanwhile, one process of the product after the other, twice a second, so many in all."""
    over = Flag()

    def kill() -> None:
        names = cycle(["redis", "worker batches 1", "links", "ticker", "worker default", "worker checks 1",
                       "worker batches 2", "worker setup 1", "worker checks 2", "worker batches 3"])  # fmt: skip
        for _number in range(most):
            if over.wait(0.5):
                return
            with suppress(KeyError, ProcessLookupError):
                os.kill(children_by_name(cluster.process.pid)[next(names)], signal.SIGKILL)

    thread = Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.soak
def test_two_deaths_that_overlap_and_a_third_in_the_return_while_all_that_handles_them_is_killed(
    cluster: Cluster, empty: str
) -> None:
    lives, first, second = cluster.lab.nodes
    cluster.create("storm", 6, "--volatile", "--start", base=empty)
    cluster.create("calm", 3, base=empty)
    names = {clone.id: clone.name for clone in cluster.wait_state("storm", RUNNING)}
    calm = {clone.name: (clone.uuid, clone.node_id) for clone in cluster.clones("calm")}
    newest = newest_operation()
    doubles: list[str] = []
    with watching(cluster, doubles):
        with killing(cluster, 20):
            first.kill()
            wait_until(lambda: cluster.node(first.name).observed == Observed.DOWN, 40, "the first is down")
            second.kill()
            wait_until(lambda: len(of(cluster.clones("storm"), lives)) == 6, 60, "all have another place")
            first.start()
            wait_until(lambda: cluster.node(first.name).returning or not of_remains(first), 40, "it is looked at")
            first.kill()
            second.start()
        first.start()
        cluster.wait_state("storm", RUNNING, PROMISED)
        cluster.wait_state("calm", STOPPED, PROMISED)
        wait_until(stand_once(cluster, "storm", "calm"), PROMISED, "each stands once")
    assert doubles == []
    assert {clone.id: clone.name for clone in cluster.clones("storm")} == names
    assert {clone.name: (clone.uuid, clone.node_id) for clone in cluster.clones("calm")} == calm
    wait_until(all_over, 60, "nothing is left to do")
    assert failed_since(newest, first, second) == []


def of_remains(node: LabNode) -> list[str]:
    """What is left of desktops on a node."""
    db.session.rollback()
    return list(db.session.scalars(select(Remains.name).join(Node).where(Node.name == node.name)))
