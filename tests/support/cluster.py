"""The whole product on a lab of three nodes, as `flask up` runs it; for tests of the real thing."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from ravada_web import ROOT, create_app
from ravada_web.cli.common import wait
from ravada_web.config import Settings
from ravada_web.extensions import db
from ravada_web.models import Base, Clone, CloneState, Node, Observed, Operation, OperationState, User
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import listing as base_list
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.joining import host_keys, verification
from ravada_web.services.monitoring import probe
from ravada_web.services.nodes.endpoints import public_key
from ravada_web.services.people import users
from ravada_web.services.transaction import transaction
from tests.lab import Lab, LabNode, build_guest
from tests.support import command_line
from tests.support.factories import give_password
from tests.support.processes import children_by_name, tree
from tests.support.servers import wait_until

GUEST = "/var/lib/libvirt/images/guest.qcow2"
IMAGES = "/var/lib/libvirt/images"
PASSWORD = "correct horse battery"


@dataclass
class Cluster:
    """The running product: its lab, its settings, an application in this process on the same database."""

    lab: Lab
    settings: Settings
    app: Flask
    process: "subprocess.Popen[bytes]"
    base_id: int = 0
    made: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What its processes and its command line run with."""
        return os.environ | {
            "RAVADA_DATA": str(self.settings.data),
            "RAVADA_PORT": str(self.settings.port),
            "RAVADA_MASTER": "ssh",
        }

    @property
    def log(self) -> Path:
        """What the product said."""
        return self.settings.data.parent / "product.log"

    def start(self) -> None:
        """Run the product, and wait until it answers."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "flask", "up"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        wait_until(lambda: listens(self.settings.port), 90, f"the product is up; its log is {self.log}")

    def kill(self) -> None:
        """Kill all processes of the product at once, as when the power of their host is cut."""
        for pid in tree(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def flask(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Its command line."""
        done = command_line.flask(*arguments, environment=self.environment)
        if check and done.returncode:
            raise AssertionError(f"flask {' '.join(arguments)}: {done.stderr}")
        return done

    def listed(self, what: str) -> list[dict[str, Any]]:
        """What `flask WHAT list --json` says."""
        rows: list[dict[str, Any]] = json.loads(self.flask(what, "list", "--json").stdout)
        return rows

    def pid_of(self, name: str) -> int:
        """The process of that name, such as "worker bulk"."""
        return children_by_name(self.process.pid)[name]

    @property
    def admin(self) -> User:
        """The first administrator."""
        db.session.rollback()
        return users.first_administrator()

    def node(self, name: str) -> Node:
        """A node's row, read anew."""
        db.session.rollback()
        return db.session.scalars(select(Node).where(Node.name == name)).one()

    def check_until_up(self, name: str) -> None:
        """Check a node, again and again, until it is believed to be well: by then its link was made anew."""

        def is_up() -> bool:
            probe.check([self.node(name).id])
            return self.node(name).observed == Observed.UP

        wait_until(is_up, 60, f"{name} is up")

    def let_facts_age(self, name: str) -> None:
        """As if a node's facts had been read long ago, not within the last minute: the next check reads them."""
        with transaction() as session:
            session.execute(update(Node).where(Node.name == name).values(facts_at=None))

    def base(self, base_id: int | None = None) -> Base:
        """The base's row, read anew."""
        db.session.rollback()
        return db.session.get_one(Base, base_id or self.base_id)

    def base_named(self, name: str) -> Base:
        """The base's row, read anew."""
        db.session.rollback()
        return db.session.scalars(select(Base).where(Base.name == name)).one()

    def clones(self, prefix: str) -> list[Clone]:
        """The rows of the clones of a prefix, read anew."""
        db.session.rollback()
        query = select(Clone).where(Clone.name.startswith(f"{prefix}-")).order_by(Clone.id)
        return list(db.session.scalars(query))

    def spread(self, prefix: str) -> dict[str, int]:
        """How many clones of a prefix each node has, by the rows."""
        counts = {node.name: 0 for node in self.lab.nodes}
        for clone in self.clones(prefix):
            counts[clone.node.name] += 1
        return counts

    def wait_state(self, prefix: str, state: CloneState, seconds: float = 60) -> list[Clone]:
        """Wait until all clones of a prefix are in a state."""
        try:
            wait_until(lambda: {clone.state for clone in self.clones(prefix)} == {state}, seconds, f"all {state}")
        except AssertionError as error:
            seen = [(clone.name, clone.state, clone.reason) for clone in self.clones(prefix)]
            raise AssertionError(f"{error}: {seen}") from error
        return self.clones(prefix)

    def create(self, prefix: str, count: int, *options: str, base: str = "linux", wait: bool = True) -> list[Clone]:
        """Make clones through the command line, and remember to remove them."""
        self.made.append(prefix)
        waiting = ["--wait"] if wait else []
        self.flask("clones", "create", base, "--count", str(count), "--prefix", prefix, *options, *waiting)
        return self.clones(prefix)

    def remove_made(self) -> None:
        """Delete what `create` made in a test."""
        while self.made:
            prefix = self.made.pop()
            if rows := [clone.id for clone in self.clones(prefix) if clone.state != CloneState.DELETING]:
                wait_until(lambda p=prefix: self._settled(p), 60, f"clones of {prefix} are settled")
                clone_actions.delete(self.admin, rows)
            wait_until(lambda p=prefix: not self.clones(p), 60, f"clones of {prefix} are deleted")

    def _settled(self, prefix: str) -> bool:
        done = (CloneState.STOPPED, CloneState.RUNNING, CloneState.FAILED, CloneState.PAUSED)
        return all(clone.state in done for clone in self.clones(prefix))

    def domains(self, node: LabNode) -> set[str]:
        """The names of the domains that are defined on a node."""
        return set(node.virsh("list", "--all", "--name").split())

    def disks(self, node: LabNode, prefix: str) -> list[str]:
        """The files of a prefix in a node's pool, temporary ones included."""
        return [name for name in node.run(["ls", "-A", IMAGES]).stdout.split() if prefix in name]

    def wait_operations(self, seconds: float = 60) -> None:
        """Wait until nothing is asked for any more."""
        open_states = (OperationState.WAITING, OperationState.RUNNING, OperationState.WATCHED)

        def idle() -> bool:
            db.session.rollback()
            return db.session.scalar(select(Operation.id).where(Operation.state.in_(open_states))) is None

        wait_until(idle, seconds, "all operations are over")


def free_port() -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_cluster(folder: Path, count: int = 3) -> Iterator[Cluster]:
    """A lab of so many nodes with the product on it, a base ready on all of them; all ends with the block."""
    guest = build_guest(folder / "guest")
    lab = Lab(folder / "lab", "rvt", count)
    settings = Settings(data=folder / "d", port=free_port(), master="ssh", disk_reserve_mib=256)
    try:
        lab.up()
        app = create_app(settings)
        with app.app_context():
            yield from _with_product(lab, settings, app, guest, folder)
    finally:
        lab.down(purge=True)


def _with_product(lab: Lab, settings: Settings, app: Flask, guest: Path, folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(lab, settings, app, None)  # type: ignore[arg-type]
    cluster.flask("setup")
    try:
        cluster.start()
        give_password(cluster.admin, PASSWORD)
        for node in lab.nodes:
            join(cluster, node)
        lab.master.put(guest, GUEST)
        cluster.base_id = make_base(cluster, "linux", [GUEST])
        yield cluster
    finally:
        db.session.remove()
        if cluster.process is not None:
            cluster.process.send_signal(signal.SIGTERM)
            cluster.process.wait(30)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def join(cluster: Cluster, node: LabNode) -> None:
    """Add a lab node, its fingerprint compared with the node's own."""
    node.authorize(public_key())
    scan = host_keys.request_join(cluster.admin, name=node.name, address=node.address, port=22, user="root")
    wait([scan.id], 300)
    joined = host_keys.accept_join(cluster.admin, scan.id, node.host_key_fingerprint)
    wait([joined.id], 300)
    wait([verification.request_verification(cluster.admin, cluster.node(node.name)).id], 300)


def ended(operation_id: int) -> Operation:
    """The operation, once it is over."""

    def over() -> bool:
        db.session.rollback()
        return db.session.get_one(Operation, operation_id).over

    wait_until(over, 30, "the operation is over")
    return db.session.get_one(Operation, operation_id)


def importable() -> list[str]:
    """The master's domains that can become bases, as its last check saw them."""
    db.session.rollback()
    return base_list.importable()


def import_domain(cluster: Cluster, name: str, xml: str, nodes: Sequence[str] | None = None) -> int:
    """Define a domain on the master, import and prepare it as a base of its name, and allow it; by default on all
    nodes."""
    cluster.lab.master.run(["virsh", "define", "/dev/stdin"], stdin=xml)
    wait_until(lambda: name in importable(), 15, "the check has seen it")
    begun = base_actions.request_import(cluster.admin, name=name, description="", source="domain", domain=name)
    (imported,) = wait([begun.id], 300)
    base_id: int = imported.result["base_id"]
    wait([base_actions.prepare(cluster.admin, cluster.base(base_id)).id], 60)
    allow(cluster, base_id, nodes)
    return base_id


def remove_imported(cluster: Cluster, base_id: int, name: str) -> None:
    """Remove a base that `import_domain` made, and the domain that it was made of."""
    wait([base_actions.remove(cluster.admin, cluster.base(base_id)).id], 60)
    cluster.lab.master.virsh("undefine", "--nvram", name)


def make_base(cluster: Cluster, name: str, paths: Sequence[str], nodes: Sequence[str] | None = None) -> int:
    """Import, prepare and allow a base; by default on all nodes."""
    begun = base_actions.request_import(
        cluster.admin, name=name, description="", source="file", paths="\n".join(paths), memory_mib=128, vcpus=1
    )
    (imported,) = wait([begun.id], 300)
    base_id: int = imported.result["base_id"]
    wait([base_actions.prepare(cluster.admin, cluster.base(base_id)).id], 60)
    allow(cluster, base_id, nodes)
    return base_id


def allow(cluster: Cluster, base_id: int, names: Sequence[str] | None = None) -> None:
    """Tick these nodes (None: all) and wait for their replicas."""
    db.session.rollback()
    rows = db.session.scalars(select(Node)).all()
    chosen = {row.id for row in rows if names is None or row.name in names}
    base_actions.allow(cluster.admin, cluster.base(base_id), chosen)

    def ready() -> bool:
        tab = base_list.tab(cluster.admin, cluster.base(base_id))
        return all(row.replica is not None and row.replica.state == "ready" for row in tab if row.allowed)

    wait_until(ready, 60, "its replicas are ready")


def seconds_until(condition: Callable[[], object], most: float, what: str) -> float:
    """How long it took until the condition held."""
    begun = time.monotonic()
    wait_until(condition, most, what)
    return time.monotonic() - begun
