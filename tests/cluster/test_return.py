"""A node dies and comes back: what was deleted meanwhile does not live again, whatever interrupts its removal."""

import os
import signal

import pytest
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Base, CloneState, Event, Observed, Remains
from tests.support.cluster import IMAGES, Cluster, make_base
from tests.support.processes import children, children_by_name
from tests.support.servers import wait_until

BLANK = f"{IMAGES}/blank.qcow2"


@pytest.fixture
def blank(cluster: Cluster) -> str:
    """A base without anything to boot: its guests cost next to nothing."""
    if db.session.scalar(select(Base).where(Base.name == "blank")) is None:
        cluster.lab.master.run(["qemu-img", "create", "-q", "-f", "qcow2", BLANK, "8M"])
        make_base(cluster, "blank", [BLANK])
    return "blank"


def left() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Remains.name)))


@pytest.mark.long
def test_deleted_while_its_node_was_dead_it_is_ended_and_removed_at_the_return(cluster: Cluster, blank: str) -> None:
    node = cluster.lab.nodes[1]
    rows = cluster.create("ghost", 6, "--start", base=blank)
    cluster.wait_state("ghost", CloneState.RUNNING)
    doomed, survivor = [row.name for row in rows if row.node.name == node.name]
    node.virsh("autostart", doomed)
    node.kill()
    wait_until(lambda: cluster.node(node.name).observed == Observed.DOWN, 30, "it is down")
    cluster.flask("clones", "delete", doomed, "--yes")
    assert doomed not in [row["name"] for row in cluster.listed("clones")]
    assert left() == [doomed]
    node.start()
    interrupt_the_removal(cluster)
    wait_until(lambda: not left(), 60, "what was left is removed")
    wait_until(lambda: cluster.node(node.name).observed == Observed.UP, 60, "the node serves again")
    assert cluster.domains(node) & {doomed, survivor} == {survivor}
    assert [name for name in cluster.disks(node, "ghost") if name.startswith(f"{doomed}.")] == []
    wait_until(lambda: not cluster.node(node.name).returning, 30, "it is reconciled")
    assert "returned" in db.session.scalars(select(Event.action).where(Event.object_id == cluster.node(node.name).id))
    # Its own desktop is there as it was left: off, since nothing starts it by itself.
    (kept,) = [row for row in cluster.clones("ghost") if row.name == survivor]
    assert kept.state == CloneState.STOPPED


def interrupt_the_removal(cluster: Cluster) -> None:
    """Kill, once, whatever works on it: it is gone, or done again by the next attempt."""
    workers = [pid for name, pid in children_by_name(cluster.process.pid).items() if "setup" in name]

    def caught() -> bool:
        for horse in [horse for worker in workers for horse in children(worker)]:
            os.kill(horse, signal.SIGKILL)
            return True
        return not left()

    wait_until(caught, 60, "a job of the removal is caught", poll=0.002)
