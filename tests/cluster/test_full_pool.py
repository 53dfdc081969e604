"""A pool that really fills: alerts before, refusals with their figures, guests that pause and go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from ravada_web.errors import RavadaError
from ravada_web.extensions import db
from ravada_web.models import Alert, Clone, CloneState, Node
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones.errors import NodeRefuses
from ravada_web.services.lifecycle import removal
from ravada_web.services.storage import pools
from tests.lab import Lab, LabNode
from tests.lab.keyboard import typed
from tests.lab.screen import read_screen, screenshot
from tests.support.cluster import GUEST, Cluster, join, make_base
from tests.support.servers import wait_until

# Types into the guest's shell: random bytes over its whole disk.
WRITES = "dd if=/dev/urandom of=/dev/vda bs=65536"
FLOOR_MIB = 256


@dataclass
class Small:
    """The node whose pool is small, in the cluster, and a base that runs there alone."""

    cluster: Cluster
    host: LabNode
    base_id: int

    @property
    def node(self) -> Node:
        return self.cluster.node(self.host.name)

    def free_mib(self) -> int | None:
        return self.node.pools[0].free_mib

    def fill(self, leave_mib: int) -> None:
        """Fill the pool, and wait until that was seen."""
        self.host.fill(leave_mib)
        wait_until(lambda: (self.free_mib() or 0) <= leave_mib, 20, "the full pool was seen")

    def make_room(self) -> None:
        self.host.unfill()
        wait_until(lambda: (self.free_mib() or 0) > FLOOR_MIB, 20, "the room was seen")

    def alert(self) -> str:
        """What the pool's alert says now; "" where there is none."""
        db.session.rollback()
        return db.session.scalar(select(Alert.state).where(Alert.pool_id == self.node.pools[0].id)) or ""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("s") / "lab", "rvs", 1, pool_mib=2000)
    made.up()
    yield made
    made.down(purge=True)


@pytest.fixture
def small(cluster: Cluster, lab: Lab) -> Iterator[Small]:
    host = lab.master
    join(cluster, host)
    found = Small(cluster, host, make_base(cluster, "tight", [GUEST], [host.name]))
    pools.set_marks(cluster.admin, found.node.pools[0], warn_percent=50, critical_percent=75, floor_mib=FLOOR_MIB)
    yield found
    found.make_room()
    cluster.remove_made()
    base_actions.remove(cluster.admin, cluster.base(found.base_id))
    cluster.wait_operations()
    removal.remove(cluster.admin, found.node)


def running(small: Small, prefix: str, count: int) -> list[Clone]:
    """New clones there that have come up to their shells."""
    made = small.cluster.create(prefix, count, base="tight")
    clone_actions.start(small.cluster.admin, [clone.id for clone in made])
    made = small.cluster.wait_state(prefix, CloneState.RUNNING)
    for clone in made:
        name = f"name: {clone.name}"
        wait_until(lambda clone=clone, name=name: name in read_screen(screenshot(small.host, clone.name)), 90, name)
    return made


@contextmanager
def refused_as_full(small: Small) -> Iterator[None]:
    """The block is refused because the pool is full, with the figures."""
    with pytest.raises(NodeRefuses) as refused:
        yield
    why = refused.value.message.figures["why"]
    assert why.kind == "storage.pool_full"
    assert (why.figures["free_mib"], why.figures["floor_mib"]) == (small.free_mib(), FLOOR_MIB)


def test_guests_pause_for_want_of_space_and_go_on_with_one_click(small: Small) -> None:
    (clone,) = running(small, "writer", 1)
    small.fill(3)
    typed(small.host, clone.name, WRITES)
    (paused,) = small.cluster.wait_state("writer", CloneState.PAUSED, 60)
    assert paused.out_of_space and paused.reason.kind == "hypervisor.paused_for_space"
    assert [found.name for found in clone_list.out_of_space(small.cluster.admin, small.node)] == [clone.name]
    with refused_as_full(small):
        clone_actions.resume(small.cluster.admin, small.node)
    assert "paused" in small.host.virsh("domstate", clone.name)

    small.make_room()
    assert len(clone_actions.resume(small.cluster.admin, small.node).done) == 1
    (running_again,) = small.cluster.wait_state("writer", CloneState.RUNNING, 30)
    assert not running_again.out_of_space
    done = "records out"
    wait_until(lambda: any(done in line for line in read_screen(screenshot(small.host, clone.name))), 60, "it wrote on")
    assert clone_list.out_of_space(small.cluster.admin, small.node) == []


def test_an_alert_comes_before_the_outage_and_nothing_more_is_put_there(small: Small) -> None:
    (clone,) = small.cluster.create("early", 1, base="tight")
    assert small.alert() == ""
    small.fill(900)
    wait_until(lambda: small.alert() == "warning", 20, "it is a warning at half full")
    clone_actions.start(small.cluster.admin, [clone.id])
    small.cluster.wait_state("early", CloneState.RUNNING)
    clone_actions.force_off(small.cluster.admin, [clone.id])
    small.cluster.wait_state("early", CloneState.STOPPED)

    small.host.unfill()
    small.fill(100)
    wait_until(lambda: small.alert() == "critical", 20, "it is critical below the floor")
    with refused_as_full(small):
        clone_actions.start(small.cluster.admin, [clone.id]).require_some()
    told = small.cluster.flask("clones", "create", "tight", "--count", "1", "--prefix", "more", check=False)
    assert told.returncode == 1 and f"{FLOOR_MIB} MiB" in told.stderr
    with pytest.raises(RavadaError):
        pools.require_room(small.node, small.node.pools[0].path, small.free_mib() or 0, 1)

    small.make_room()
    wait_until(lambda: small.alert() == "", 20, "the alert is over")
    clone_actions.start(small.cluster.admin, [clone.id])
    small.cluster.wait_state("early", CloneState.RUNNING)
