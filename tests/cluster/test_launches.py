"""A user's launch while an administrator starts many, on the same nodes."""

from ravada_web.models import Clone, CloneState
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.desktops import launching
from tests.support.cluster import IMAGES, Cluster, make_base
from tests.support.servers import wait_until

MANY = 24


def starting(rows: list[Clone]) -> int:
    return sum(clone.state == CloneState.STARTING for clone in rows)


def test_launches_pass_a_start_of_many_on_every_node(cluster: Cluster) -> None:
    # An empty disk: guests of firmware alone, whose starts are all that they cost.
    path = f"{IMAGES}/launches.qcow2"
    cluster.lab.master.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"])
    make_base(cluster, "launches", [path])
    many = cluster.create("many", MANY, base="launches")
    mine = cluster.create("mine", 3, base="launches")
    assert len({clone.node_id for clone in mine}) == 3
    clone_actions.start(cluster.admin, [clone.id for clone in many])
    # The last is one that the start of many holds, and that would be the last of its node.
    for clone in (*mine, many[-1]):
        launching.launch(cluster.admin, clone.id)
    cluster.wait_state("mine", CloneState.RUNNING, 30)
    wait_until(lambda: cluster.clones("many")[-1].state == CloneState.RUNNING, 30, "the last of the many runs")
    assert starting(cluster.clones("many")) > MANY / 2, "the many have not gone first"
    rows = cluster.wait_state("many", CloneState.RUNNING, 120)
    cluster.wait_operations()
    assert not any(clone.reason for clone in rows)
