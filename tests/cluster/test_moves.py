"""A desktop moves from node to node: what was written in it is there, whatever becomes of the worker meanwhile."""

import os
import signal

import pytest
from sqlalchemy import select

from jobs.parent import MOVERS
from ravada_web.extensions import db
from ravada_web.models import Base, CloneState, Remains
from ravada_web.services.moves import requests
from tests.support.cluster import IMAGES, Cluster, make_base
from tests.support.processes import children_by_name
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


def test_what_was_written_in_it_moves_with_it_though_the_worker_is_killed(cluster: Cluster, blank: str) -> None:
    (clone,) = cluster.create("nomad", 1, base=blank)
    nodes = {node.name: node for node in cluster.lab.nodes}
    here = nodes[clone.node.name]
    there = next(node for name, node in nodes.items() if name != here.name)
    disk, uuid, macs = clone.disk_file("vda"), clone.uuid, [nic.mac for nic in clone.nics]
    here.run(["qemu-io", "-c", "write -P 0x5a 1M 6M", f"{IMAGES}/{disk}"])
    workers, target = [cluster.pid_of(name) for name in MOVERS], cluster.node(there.name).id
    requests.request_move(cluster.admin, clone.id, target)

    def caught() -> bool:
        jobs = [job for worker in workers for job in children_by_name(worker).items()]
        horses = [pid for name, pid in jobs if name.endswith(" of moves")]
        for horse in horses:
            os.kill(horse, signal.SIGKILL)
        return bool(horses)

    wait_until(caught, 30, "the move is caught", poll=0.002)
    wait_until(lambda: cluster.clones("nomad")[0].state == CloneState.STOPPED, 90, "it has moved")
    (moved,) = cluster.clones("nomad")
    assert (moved.node.name, moved.uuid, [nic.mac for nic in moved.nics]) == (there.name, uuid, macs)
    wait_until(lambda: not left(), 60, "what it has left is removed")
    assert "nomad-1" in cluster.domains(there) and "nomad-1" not in cluster.domains(here)
    assert cluster.disks(there, "nomad") == [disk] and cluster.disks(here, "nomad") == []
    said = there.run(["qemu-io", "-r", "-U", "-c", "read -P 0x5a 1M 6M", f"{IMAGES}/{disk}"]).stdout
    assert "verification failed" not in said
    cluster.flask("clones", "start", "nomad-1", "--wait")
    cluster.wait_state("nomad", CloneState.RUNNING)


def test_a_node_without_desktops_is_given_some_of_those_that_are_off(cluster: Cluster, blank: str) -> None:
    empty = cluster.lab.nodes[2]
    cluster.flask("nodes", "disable", empty.name)
    clones = cluster.create("settler", 4, base=blank)
    cluster.flask("nodes", "enable", empty.name)
    assert empty.name not in {clone.node.name for clone in clones}
    assert "settler" in cluster.flask("nodes", "rebalance", "--dry-run").stdout
    cluster.flask("nodes", "rebalance", "--at-once", "2", "--wait")
    settlers = cluster.clones("settler")
    there = [clone for clone in settlers if clone.node.name == empty.name]
    assert there
    assert {clone.state for clone in settlers} == {CloneState.STOPPED}
    wait_until(lambda: not left(), 60, "what they have left is removed")
    for node in cluster.lab.nodes:
        named = {clone.name for clone in settlers if clone.node.name == node.name}
        assert {name for name in cluster.domains(node) if name.startswith("settler")} == named
        assert len(cluster.disks(node, "settler")) == len(named)
    assert "settler" not in cluster.flask("nodes", "rebalance", "--dry-run").stdout, "the nodes are even now"
