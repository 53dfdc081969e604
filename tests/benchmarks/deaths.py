"""Deaths on the lab: five nodes, 60 volatile clones of firmware alone that run, and one or three of the nodes die, or
are cut off; with what comes back afterwards. Part of `make bench-failover`.

`restored_s` is the time from the death until the last of the lost clones runs elsewhere, `remade_s` its part after the
death was known; the floor is `virsh start` of as many ready-made clones on the nodes that live, in the same run.
`doubles` is the most that ever ran on two nodes that the product let people reach, looked for on all nodes twice a
second.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from sqlalchemy import func, select

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Node, Observed, Remains
from tests.benchmarks.fleet import say
from tests.lab import LabNode
from tests.support.cluster import IMAGES, Cluster, make_base
from tests.support.servers import wait_until

NODES, CLONES = 5, 60
PATIENCE = 240.0
LOOK_SECONDS = 0.5
RUNNING = CloneState.RUNNING


def measure(cluster: Cluster, count: int = CLONES) -> dict[str, Any]:
    """One node killed, one cut off, and three of the five killed."""
    path = f"{IMAGES}/firmware.qcow2"
    cluster.lab.master.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"])
    make_base(cluster, "firmware", [path])
    _master, second, *others = cluster.lab.nodes
    killed = _died(cluster, [second], LabNode.kill, LabNode.start, count)
    partition = _died(cluster, [second], LabNode.partition, LabNode.heal, count)
    three = _died(cluster, [second, *others[:2]], LabNode.kill, LabNode.start, count)
    return {**killed, "partition": partition, "three_of_five": three}


def _died(
    cluster: Cluster,
    dying: Sequence[LabNode],
    die: Callable[[LabNode], None],
    come_back: Callable[[LabNode], None],
    count: int,
) -> dict[str, Any]:
    names = [node.name for node in dying]
    living = [node for node in cluster.lab.nodes if node.name not in names]
    cluster.create("run", count, "--volatile", "--start", base="firmware")
    cluster.wait_state("run", RUNNING, PATIENCE)
    lost = sum(cluster.spread("run")[name] for name in names)
    floor = _floor(cluster, living, lost)
    with _watched(cluster) as doubles:
        begun = time.monotonic()
        for node in dying:
            die(node)
        wait_until(lambda: _seen(names) == {Observed.DOWN}, PATIENCE, f"{names} are down", poll=0.05)
        down = time.monotonic() - begun
        wait_until(lambda: _run_elsewhere(names) == count, PATIENCE, "all run elsewhere", poll=0.1)
        restored = time.monotonic() - begun
        spread = [cluster.spread("run")[node.name] for node in living]
        begun = time.monotonic()
        for node in dying:
            come_back(node)
        wait_until(lambda: _seen(names) == {Observed.UP} and not _left(), PATIENCE, f"{names} are back", poll=0.1)
        reconciled = time.monotonic() - begun
    found = {
        "down_s": round(down, 2),
        "restored_s": round(restored, 2),
        "remade_s": round(restored - down, 2),
        "floor_s": round(floor, 2),
        "evenness": max(spread) - min(spread),
        "reconciled_s": round(reconciled, 2),
        "doubles": max(doubles),
    }
    say(f"{names}, {lost} lost: {found}")
    cluster.remove_made()
    return found


def _floor(cluster: Cluster, living: Sequence[LabNode], count: int) -> float:
    """Seconds that the living nodes take to start as many ready-made clones, each node its own one after another."""
    each = -(-count // len(living))
    cluster.create("bare", each * NODES, base="firmware")
    names = {node.name: [row.name for row in cluster.clones("bare") if row.node.name == node.name] for node in living}
    shares = [
        (node, names[node.name][: count // len(living) + (at < count % len(living))]) for at, node in enumerate(living)
    ]
    with ThreadPoolExecutor(len(living)) as pool:
        begun = time.monotonic()
        list(pool.map(lambda share: [share[0].virsh("start", name) for name in share[1]], shares))
        seconds = time.monotonic() - begun
        list(pool.map(lambda share: [share[0].virsh("destroy", name) for name in share[1]], shares))
    cluster.wait_state("bare", CloneState.STOPPED, PATIENCE)
    return seconds


def _seen(names: Sequence[str]) -> set[str]:
    db.session.rollback()
    return set(db.session.scalars(select(Node.observed).where(Node.name.in_(names))))


def _run_elsewhere(names: Sequence[str]) -> int:
    """How many of the clones run on other nodes."""
    db.session.rollback()
    query = select(func.count()).select_from(Clone).join(Clone.node).where(Clone.name.startswith("run-"))
    return db.session.scalar(query.where(Clone.state == RUNNING, Node.name.not_in(names))) or 0


def _left() -> int:
    return db.session.scalar(select(func.count()).select_from(Remains)) or 0


@contextmanager
def _watched(cluster: Cluster) -> Iterator[list[int]]:
    """How many clones ran on two nodes that are up, as one look after another found it."""
    found, over = [0], threading.Event()

    def look() -> None:
        with cluster.app.app_context():
            while not over.wait(LOOK_SECONDS):
                running = {node.name: _running(node) for node in cluster.lab.nodes if node.running}
                up = set(db.session.scalars(select(Node.name).where(Node.observed == Observed.UP)))
                db.session.remove()
                counts = Counter(name for node, names in running.items() if node in up for name in names)
                found.append(sum(number > 1 for number in counts.values()))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _running(node: LabNode) -> set[str]:
    """What runs on the node, as its own libvirt says; nothing while it is not there."""
    try:
        return set(node.virsh("list", "--name").split())
    except Exception:  # noqa: BLE001  it dies or starts just now
        return set()
