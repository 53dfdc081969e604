"""Whoever dies while desktops move, each is one desktop afterwards, whole, where its row says: ten moves with kills;
by `make soak-moves`, as many as are asked for."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import libvirt
import pytest

from ravada_web.models import CloneState
from tests.lab import LabNode
from tests.support.cluster import Cluster
from tests.support.processes import children_by_name
from tests.support.roaming import CLIPBOARD, Roamer, horses, operation, over
from tests.support.servers import wait_until
from tests.support.ticking import (
    BASE,
    KEYS_AT,
    MOST_KEYS,
    assert_marked,
    assert_ticks,
    domain_on,
    make_ticking,
    mark_disk,
    mark_file,
    mark_memory,
    memory,
)

# From what moment on a move that is not disturbed is over, at first; afterwards it is what was seen.
USUAL_SECONDS = 4.0
SLOW_MBIT = 40
# Marks are written over and over in so much of a disk, in MiB from the second on.
PLACES = range(1, 40)
LIBVIRTD_DIES = ["sh", "-c", "pkill -9 -x libvirtd; sleep 2; libvirtd -d || { sleep 2; libvirtd -d; }"]


@dataclass
class Move:
    """What a party's death is aimed at: the desktop, and from which node to which it moves."""

    mover: "Mover"
    here: LabNode
    there: LabNode
    cut_seconds: float

    @property
    def cluster(self) -> Cluster:
        """The product that moves it."""
        return self.mover.roamer.cluster


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _named(move: Move, *names: str) -> list[int]:
    return [pid for name, pid in children_by_name(move.cluster.process.pid).items() if name in names]


def _cut_off(node: LabNode, seconds: float) -> None:
    node.partition()
    time.sleep(seconds)
    node.heal()


def _qemu_dies(node: LabNode, name: str) -> None:
    node.run(["sh", "-c", f"kill -9 $(cat /run/libvirt/qemu/{name}.pid)"], check=False)


# Who dies in a move, of a desktop that runs and of one that is off.
PARTIES: Mapping[str, Callable[[Move], object]] = {
    "nobody": lambda _move: None,
    "worker's job": lambda move: _kill(horses(move.cluster)),
    "workers": lambda move: _kill([*_named(move, "worker batches 2", "worker batches 3", "worker bulk"),
                                   *horses(move.cluster)]),
    "links": lambda move: _kill(_named(move, "links")),
    "ticker": lambda move: _kill(_named(move, "ticker")),
    "Redis": lambda move: _kill(_named(move, "redis")),
    "target's libvirt": lambda move: move.there.run(LIBVIRTD_DIES),
    "source's libvirt": lambda move: move.here.run(LIBVIRTD_DIES),
    "target's network": lambda move: _cut_off(move.there, move.cut_seconds),
    "source's network": lambda move: _cut_off(move.here, move.cut_seconds),
    "target's QEMU": lambda move: _qemu_dies(move.there, move.mover.name),
    "source's QEMU": lambda move: _qemu_dies(move.here, move.mover.name),
}  # fmt: skip
# With these its guest may be gone, and that is right.
GUEST = {"target's QEMU", "source's QEMU"}
# Those that are back within seconds.
QUICK = ["worker's job", "workers", "Redis", "target's libvirt", "source's libvirt", "target's QEMU", "source's QEMU"]


@dataclass
class Mover:
    """A desktop of the soak, what is known of its marks, and for how long its moves go on."""

    roamer: Roamer
    rng: random.Random
    live: bool
    places: dict[int, int] = field(default_factory=dict)
    typed: list[int] = field(default_factory=list)
    usual: float = USUAL_SECONDS

    @property
    def name(self) -> str:
        """Its name."""
        return self.roamer.name

    def make(self) -> None:
        """Make it, running where it is to move so."""
        cluster, prefix = self.roamer.cluster, self.roamer.prefix
        cluster.create(prefix, 1, base=BASE)
        if self.live:
            command = ["virsh", "attach-device", "--config", self.name, "/dev/stdin"]
            self.roamer.node.run(command, stdin=CLIPBOARD)
            self.start()

    def start(self) -> None:
        """Start it, and write its marks in memory."""
        self.roamer.start()
        self.typed = mark_memory(self.roamer.node, self.name, self.rng)

    def mark(self) -> None:
        """Write some marks more into its disk."""
        fresh = {self.rng.choice(PLACES): self.rng.randrange(1, 256) for _place in range(self.rng.randrange(1, 9))}
        self.places |= fresh
        if self.live:
            mark_disk(self.roamer.node, self.name, list(fresh.items()))
        else:
            mark_file(self.roamer.node, self.roamer.disk, list(fresh.items()))

    def assert_whole(self, may_be_off: bool) -> None:
        """All marks are there; its guest goes on where it was not killed."""
        row, node = self.roamer.row, self.roamer.node
        assert row.state == CloneState.STOPPED or self.live, row.state
        if self.live and (row.state != CloneState.STOPPED or not may_be_off):
            assert row.state == CloneState.RUNNING, (row.state, row.reason)
            assert memory(node, self.name, KEYS_AT, MOST_KEYS) == self.typed
            assert_ticks(node, self.name)
            self.roamer.assert_has_clipboard()
        if may_be_off and row.state == CloneState.STOPPED:
            self.places = {}  # what a killed QEMU had not written out yet is lost
        assert_marked(node, self.roamer.disk, list(self.places.items()))


def _await_switch(move: Move, operation_id: int) -> None:
    """Wait until its guest stands still to change sides, or the move is over."""
    with suppress(libvirt.libvirtError), domain_on(move.here, move.mover.name) as domain:
        looks = 0
        while domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING:
            looks += 1
            if looks % 50 == 0 and operation(operation_id).over:
                return
            time.sleep(0.002)


def _settle(cluster: Cluster) -> None:
    for node in cluster.lab.nodes:
        node.slow(None)
    wait_until(lambda: all(cluster.node(each.name).is_reachable for each in cluster.lab.nodes), 60, "all nodes are up")


def one_move(mover: Mover, party: str, rng: random.Random) -> str:
    """Move it to one of the other nodes while a party dies; returns what became of it. Fails where it is not one, or
    not whole, afterwards."""
    roamer = mover.roamer
    mover.mark()
    move = Move(mover, roamer.node, rng.choice(roamer.others), rng.choice((2, 7, 14)))
    if rng.random() < 0.3:
        move.there.slow(SLOW_MBIT)
    asked, begun = roamer.ask(move.there, live=mover.live), time.monotonic()
    moment = rng.uniform(0, 1.3 * mover.usual)
    at_switch = mover.live and rng.random() < 0.4
    if party != "nobody":
        _await_switch(move, asked.id) if at_switch else time.sleep(moment)
    said = f"{move.here.name} to {move.there.name}, {party} at {'the switch' if at_switch else f'{moment:.1f} s'}"
    try:
        PARTIES[party](move)
        done = over(asked.id)
        if party == "nobody":
            mover.usual = time.monotonic() - begun
        _settle(roamer.cluster)
        wait_until(lambda: roamer.row.state in (CloneState.RUNNING, CloneState.STOPPED), 60, "its state is known")
        if party not in GUEST and mover.live:
            wait_until(lambda: roamer.row.state == CloneState.RUNNING, 60, "it runs")
        roamer.assert_one()
        mover.assert_whole(may_be_off=party in GUEST)
    except AssertionError as error:
        error.add_note(f"{said}; {roamer.row.state} on {roamer.row.node.name}: {roamer.row.reason}")
        error.add_note("\n".join(f"{node.name}: {node.virsh('list', '--all')}" for node in roamer.cluster.lab.nodes))
        raise
    if mover.live and roamer.row.state == CloneState.STOPPED:
        mover.start()
    return f"{said}: {done.state} {done.error.kind} after {time.monotonic() - begun:.1f} s, {roamer.row.node.name}"


def soak(cluster: Cluster, moves: int, seed: int, parties: Sequence[str]) -> None:
    """So many moves, three of four of a desktop that runs, each with the death of one of these parties."""
    rng = random.Random(seed)
    print(f"seed {seed}", flush=True)
    make_ticking(cluster)
    movers = [Mover(Roamer(cluster, prefix), rng, live) for prefix, live in (("walker", True), ("sleeper", False))]
    for mover in movers:
        mover.make()
    deck: list[str] = []
    counts: Counter[str] = Counter()
    for number in range(1, moves + 1):
        mover = movers[number % 4 == 0]
        deck = deck or rng.sample(parties, len(parties))
        party = deck.pop()
        party = party if mover.live or party not in GUEST else "worker's job"
        said = one_move(mover, party, rng)
        counts[f"{'live' if mover.live else 'cold'}, {party}"] += 1
        print(f"{number}/{moves} {'live' if mover.live else 'cold'} {said}", flush=True)
    for what, count in sorted(counts.items()):
        print(f"{count:5} {what}", flush=True)


def test_ten_moves_whoever_dies(cluster: Cluster) -> None:
    soak(cluster, 10, 20, QUICK)


@pytest.mark.soak
@pytest.mark.timeout(14400)
def test_as_many_moves_as_are_asked_for_whoever_dies(cluster: Cluster) -> None:
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    soak(cluster, int(os.environ.get("MOVES") or 200), seed, list(PARTIES))
