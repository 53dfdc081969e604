"""A fleet of nodes on one machine: loopback addresses with one real sshd and libvirtd behind them, and the product."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from sqlalchemy import func, insert, select

from jobs.periodic import periodic_work
from ravada_web import create_app
from ravada_web.cli import local_libvirt
from ravada_web.config import Settings
from ravada_web.extensions import db
from ravada_web.hypervisor.connection import open_connection, socket_uri
from ravada_web.hypervisor.facts import read_facts
from ravada_web.models import BaseVersion, Clone, CloneState, Node, Observed, Pool, now
from ravada_web.remote.target import LIBVIRT_SOCKET
from ravada_web.services.monitoring import rounds
from ravada_web.services.nodes import link_states
from ravada_web.services.nodes.endpoints import public_key
from ravada_web.services.transaction import transaction
from tests.support.cluster import ROOT, free_port, listens
from tests.support.factories import make_base
from tests.support.processes import tree
from tests.support.servers import wait_until
from tests.support.sshd import RunningSshd, start_sshd

TABLE = "ravada_bench"
TICKS = os.sysconf("SC_CLK_TCK")
# Of every three nodes the last is in this network, which can be made to swallow all that is sent there.
GOOD, HOLE = "127.64", "127.65"


def say(what: str) -> None:
    """Show progress."""
    print(what, file=sys.stderr, flush=True)


def address(number: int) -> str:
    """The loopback address of the node of that number."""
    return f"{HOLE if number % 3 == 2 else GOOD}.{number // 250}.{number % 250 + 1}"


@dataclass(frozen=True)
class Memory:
    """What one process holds: resident, and with what it shares divided among those who share it. In MiB."""

    program: str
    rss_mib: float
    pss_mib: float


@dataclass
class Fleet:
    """The product with its fleet. `process` is its parent, which all else of it descends from."""

    settings: Settings
    app: Flask
    sshd: RunningSshd
    process: "subprocess.Popen[bytes]"

    def fill(self, count: int) -> None:
        """Make it so many nodes, as joined and seen up long ago; their facts are this host's."""
        with open_connection(socket_uri(LIBVIRT_SOCKET)) as connection:
            facts = read_facts(connection)
        moment = now()
        with transaction() as session:
            session.query(Pool).delete()
            session.query(Node).delete()
            session.add_all(
                Node(
                    name=f"n{number}",
                    address=address(number),
                    port=self.sshd.port,
                    host_key=" ".join(self.sshd.host_key_line.split()[:2]),
                    observed=Observed.UP,
                    checked_at=moment,
                    proved_at=moment,
                    facts=facts.to_dict(),
                    # One host stands behind all, and nobody is told so at every node.
                    host_uuid=facts.host_uuid,
                    facts_at=moment,
                    cpus=facts.cpus,
                    memory_total_mib=facts.memory_mib,
                    pools=[Pool(name="default", path="/var/lib/libvirt/images", total_mib=1, free_mib=1)],
                )
                for number in range(count)
            )

    def add_clones(self, count: int, owner_of: Callable[[int], int]) -> None:
        """Add so many clones of one base, spread over all nodes, each for the user that it has by its number."""
        node_ids = list(db.session.scalars(select(Node.id).order_by(Node.id)))
        base_id = make_base(node_ids)
        version_id = db.session.scalar(select(BaseVersion.id).where(BaseVersion.base_id == base_id))
        with transaction() as session:
            for first in range(0, count, 1000):
                session.execute(
                    insert(Clone),
                    [
                        {
                            "name": f"desk-{number}",
                            "sort_name": f"desk-{number:08d}",
                            "uuid": str(uuid.uuid4()),
                            "base_id": base_id,
                            "version_id": version_id,
                            "node_id": node_ids[number % len(node_ids)],
                            "owner_id": owner_of(number),
                            "memory_mib": 512,
                            # In work: what a check does not see of them changes nothing.
                            "state": CloneState.CREATING,
                        }
                        for number in range(first, min(first + 1000, count))
                    ],
                )

    def wait_linked(self, count: int) -> float:
        """Wait until all links are up; returns the seconds that it took."""
        begun = time.monotonic()
        wait_until(lambda: self._linked() >= count, 600, f"{count} links are up", poll=0.2)
        return time.monotonic() - begun

    def _linked(self) -> int:
        told = link_states.read()
        return sum(1 for state in told.values() if state.up) if told else 0

    def check_all(self) -> float:
        """One round, as the ticker queues it; returns the seconds until every node's row was written by it."""
        begun, moment = time.monotonic(), now()
        self._queue_round()
        wait_until(lambda: self._older(moment) == 0, 120, "all rows are written", poll=0.02)
        return time.monotonic() - begun

    def _queue_round(self) -> None:
        """Queue checks of all nodes, as the ticker would if an interval had one part."""
        (checks,) = [work for work in periodic_work(self.settings) if work.name == "checks"]
        for node_ids in rounds.part():
            checks.enqueue(*node_ids)

    def healthy_seconds(self) -> float:
        """The seconds of a round until the last node that answers was written."""
        begun, moment = time.monotonic(), now()
        self._queue_round()
        wait_until(lambda: self._older(moment, Node.address.startswith(GOOD)) == 0, 120, "the healthy ones", poll=0.02)
        took = time.monotonic() - begun
        wait_until(lambda: self._older(moment) == 0, 120, "all rows are written", poll=0.02)
        return took

    def _older(self, moment: object, *more: object) -> int:
        db.session.rollback()
        query = select(func.count()).select_from(Node).where(Node.checked_at < moment, *more)  # type: ignore[arg-type]
        return db.session.scalar(query) or 0

    def states(self) -> dict[str, int]:
        """How many nodes are seen in each state."""
        db.session.rollback()
        return dict(db.session.execute(select(Node.observed, func.count()).group_by(Node.observed)).all())

    def wait_down(self, count: int) -> None:
        """Wait until the product's own checks have seen so many nodes down.

        One that was slow for a moment may be degraded from then on: its facts are read again, and are those of all.
        """
        wait_until(lambda: self.states().get("down") == count, 120, f"{count} nodes are down", poll=0.2)

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.settings.port}"

    def cpu_seconds(self) -> float:
        """CPU seconds so far, of the product's processes and their ssh, ended ones too."""
        ticks = 0
        for pid in tree(self.process.pid):
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
        return ticks / TICKS

    def memory(self) -> list[Memory]:
        """What each of its processes holds, their ssh too."""
        found = []
        for pid in tree(self.process.pid):
            with suppress(FileNotFoundError, ProcessLookupError):
                program = Path(f"/proc/{pid}/comm").read_text().strip()
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                kib = {key: int(value.split()[0]) for key, value in (line.split(":") for line in lines[1:])}
                found.append(Memory(program, kib["Rss"] / 1024, kib["Pss"] / 1024))
        return found


@contextmanager
def dark(places: str, table: str = TABLE) -> Iterator[None]:
    """Swallow without a word what is sent to these places, addresses or networks with commas between."""
    rules = f"add table inet {table}; add chain inet {table} out {{ type filter hook output priority 0; }}; "
    rules += f"add rule inet {table} out ip daddr {{ {places} }} drop"
    subprocess.run(["nft", rules], check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=True)


def blackhole() -> AbstractContextManager[None]:
    """Swallow without a word what is sent to every third node."""
    return dark(f"{HOLE}.0.0/16")


@contextmanager
def running_fleet(database_url: str = "", interval: float = 1_000_000) -> Iterator[Fleet]:
    """The product as `flask up` runs it; by default it checks nothing by itself."""
    local_libvirt.start()
    local_libvirt.ensure_pool_and_network()
    with tempfile.TemporaryDirectory(prefix="rf-") as name:
        folder = Path(name)
        environment = os.environ | {
            "RAVADA_DATA": str(folder / "d"),
            "RAVADA_PORT": str(free_port()),
            "RAVADA_MASTER": "ssh",
            "RAVADA_CHECK_INTERVAL": str(interval),
            "RAVADA_DATABASE_URL": database_url,
        }
        settings = Settings(
            data=folder / "d",
            master="ssh",
            port=int(environment["RAVADA_PORT"]),
            check_interval=interval,
            database_url=database_url,
        )
        setup = [sys.executable, "-m", "flask", "setup"]
        subprocess.run(setup, cwd=ROOT, env=environment, check=True, capture_output=True)
        sshd = start_sshd(folder / "sshd", address="0.0.0.0")  # noqa: S104  all of 127/8, for the time of a benchmark
        # In truth it runs on the nodes: it is not to take the product's cores.
        os.setpriority(os.PRIO_PROCESS, sshd.process.pid, 19)
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "flask", "up"]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            app = create_app(settings)
            with app.app_context():
                wait_until(lambda: listens(settings.port), 60, "the product is up")
                sshd.authorize(public_key())
                yield Fleet(settings, app, sshd, process)
                db.session.remove()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            sshd.stop()
