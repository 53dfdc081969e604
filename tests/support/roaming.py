"""A desktop that moves from node to node: asking for its moves, and what holds after each, whatever has happened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select

from jobs.parent import MOVERS
from ravada_web.extensions import db
from ravada_web.messages import MessageError
from ravada_web.models import Clone, CloneState, Operation, Remains
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.moves import requests
from ravada_web.services.moves.requests import DEFAULT, LiveLimits
from tests.lab import LabNode
from tests.support.cluster import IMAGES, Cluster
from tests.support.processes import children_by_name
from tests.support.servers import wait_until

CLIPBOARD = """<channel type='qemu-vdagent'><source><clipboard copypaste='yes'/></source>
<target type='virtio' name='com.redhat.spice.0'/></channel>"""
Result = TypeVar("Result")


@dataclass
class Roamer:
    """The one clone of its prefix; its row is read anew each time."""

    cluster: Cluster
    prefix: str

    @property
    def row(self) -> Clone:
        """Its row."""
        (clone,) = self.cluster.clones(self.prefix)
        return clone

    @property
    def name(self) -> str:
        """Its name."""
        return self.row.name

    @property
    def node(self) -> LabNode:
        """Where its row says that it is."""
        return next(node for node in self.cluster.lab.nodes if node.name == self.row.node.name)

    @property
    def others(self) -> Sequence[LabNode]:
        """The other nodes."""
        here = self.row.node.name
        return [node for node in self.cluster.lab.nodes if node.name != here]

    @property
    def disk(self) -> str:
        """The path of its disk, on whatever node."""
        return f"{IMAGES}/{self.row.disk_file('vda')}"

    def start(self) -> None:
        """Have it run, as soon as its node takes it."""
        accepted(lambda: clone_actions.start(self.cluster.admin, [self.row.id]).require_some())
        self.cluster.wait_state(self.prefix, CloneState.RUNNING)

    def ask(self, to: LabNode, *, live: bool = True, limits: LiveLimits = DEFAULT) -> Operation:
        """Have it move to a node, as soon as both take part."""

        def request() -> Operation:
            admin, node = self.cluster.admin, self.cluster.node(to.name)
            return requests.request_move(admin, self.row.id, node.id, live=live, limits=limits)

        return accepted(request)

    def assert_one(self) -> None:
        """It is one domain, which stands where its row says, and as that says; nothing of it is anywhere else."""
        uuid = self.row.uuid
        wait_until(lambda: _nothing_remains(uuid), 60, "what is left is removed")
        for node in self.cluster.lab.nodes:
            wait_until(lambda on=node: self._stray(on) == [], 30, f"of {self.name} on {node.name}: {self._stray(node)}")
        key = uuid[:8]
        wait_until(lambda: not list(self.cluster.settings.links_dir.glob(f"m{key}.*")), 30, "our sockets are gone")
        wait_until(lambda: not forwarding(key), 30, "what forwards has ended")

    def _stray(self, node: LabNode) -> list[str]:
        """What differs on a node from what its row says."""
        row = self.row
        mine, runs = row.node.name == node.name, row.state == CloneState.RUNNING
        shown = {
            f"{one}": row.name in node.virsh("list", "--name", one).split() for one in ("--all", "--state-running")
        }
        room = node.run(["sh", "-c", f"ls -d /run/libvirt/ravada-move-{row.uuid[:8]} 2>/dev/null || :"]).stdout.strip()
        wrong = [f"{what}: {is_so}" for what, is_so in shown.items() if is_so != (mine and (runs or what == "--all"))]
        disks = self.cluster.disks(node, self.prefix)
        if disks != ([row.disk_file("vda")] if mine else []):
            wrong.append(f"disks: {disks}")
        if mine and runs and not (row.display and node.run(["test", "-S", row.display], check=False).returncode == 0):
            wrong.append(f"no display at {row.display!r}")
        return [*wrong, room] if room else wrong

    def assert_has_clipboard(self) -> None:
        """Where it runs, it has the clipboard that its definition has."""
        wait_until(lambda: self.node.virsh("dumpxml", self.name).count("type='qemu-vdagent'") == 1, 30, "its clipboard")


def accepted(request: Callable[[], Result]) -> Result:
    """What a request comes to, once it is accepted: nodes and Redis may be away for a moment."""
    refusals: list[MessageError] = []
    answers: list[Result] = []

    def ask() -> bool:
        try:
            answers.append(request())
        except MessageError as error:
            refusals[:] = [error]
        return bool(answers)

    try:
        wait_until(ask, 60, "it is accepted", poll=0.5)
    except AssertionError as error:
        raise error from refusals[0]
    return answers[0]


def _nothing_remains(uuid: str) -> bool:
    db.session.rollback()
    return db.session.scalar(select(Remains.id).where(Remains.uuid == uuid)) is None


def forwarding(key: str) -> list[int]:
    """The processes that forward the sockets of the move of the domain whose UUID begins so."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if line.partition(b"\0")[0].endswith(b"ssh") and f"ravada-move-{key}".encode() in line:
            found.append(int(entry.parent.name))
    return found


def operation(operation_id: int) -> Operation:
    """Its row, read anew."""
    db.session.rollback()
    return db.session.get_one(Operation, operation_id)


def over(operation_id: int) -> Operation:
    """The move, once it is over."""
    wait_until(lambda: operation(operation_id).over, 60, "the move is over")
    return operation(operation_id)


def under_way(operation_id: int) -> bool:
    """Whether it is seen to copy; one that is over already was too quick, or had too little time, to be seen."""
    row = operation(operation_id)
    return row.message.kind == "moves.migrating" or row.over


def horses(cluster: Cluster) -> list[int]:
    """The processes that move a desktop now."""
    parents = children_by_name(cluster.process.pid)
    jobs = [job for worker in MOVERS if worker in parents for job in children_by_name(parents[worker]).items()]
    return [pid for name, pid in jobs if name.endswith(" of moves")]
