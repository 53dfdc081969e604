"""A node is drained: what is off moves, what runs goes on running elsewhere; then what is off comes home."""

from ravada_web.models import Clone, CloneState, Node, ServiceState
from ravada_web.services.bases import actions as base_actions
from tests.support.cluster import IMAGES, Cluster, allow, make_base
from tests.support.factories import change
from tests.support.servers import wait_until

BLANK = f"{IMAGES}/nothing.qcow2"


def at_home(cluster: Cluster, name: str) -> list[Clone]:
    """The clones of the test that are on a node."""
    return [clone for clone in cluster.clones("settler") if clone.node.name == name]


def test_a_node_is_emptied_with_what_runs_there_and_its_desktops_come_home(cluster: Cluster) -> None:
    node = cluster.lab.nodes[-1]
    change(Node, Node.name != node.name, service_state=ServiceState.DISABLED)
    try:
        cluster.create("settler", 3)
    finally:
        change(Node, service_state=ServiceState.ENABLED)
    cluster.flask("clones", "start", "settler-1", "--wait")
    before = {clone.name: (clone.uuid, clone.started_at) for clone in cluster.clones("settler")}
    said = cluster.flask("nodes", "drain", node.name, "--users-may-stay", "5", "--wait", "--json").stdout
    assert '"done"' in said
    assert cluster.node(node.name).service_state == ServiceState.MAINTENANCE
    assert not at_home(cluster, node.name)
    assert {clone.name: (clone.uuid, clone.started_at) for clone in cluster.clones("settler")} == before
    assert cluster.clones("settler")[0].state == CloneState.RUNNING, "it went on running"
    wait_until(lambda: not cluster.disks(node, "settler"), 60, "nothing of them is left on it")
    cluster.flask("nodes", "enable", node.name)
    arguments = ("nodes", "bring-back", node.name, "--no-live", "--wait-for-users", "0", "--json", "--wait")
    assert "settler-1" in cluster.flask(*arguments, check=False).stderr, "what runs is left where it is"
    assert sorted(clone.name for clone in at_home(cluster, node.name)) == ["settler-2", "settler-3"]


def test_the_master_is_emptied_and_stays_the_source_of_bases(cluster: Cluster) -> None:
    master, other = cluster.lab.nodes[:2]
    master.run(["qemu-img", "create", "-q", "-f", "qcow2", BLANK, "8M"])
    base_id = make_base(cluster, "original", [BLANK], [master.name])
    try:
        change(Node, Node.name != master.name, service_state=ServiceState.DISABLED)
        cluster.create("settler", 2)
        change(Node, service_state=ServiceState.ENABLED)
        cluster.flask("clones", "start", "settler-1", "--wait")
        assert len(at_home(cluster, master.name)) == 2
        said = cluster.flask("nodes", "drain", master.name, "--wait", "--json").stdout
        assert '"done"' in said and cluster.node(master.name).service_state == ServiceState.MAINTENANCE
        assert not at_home(cluster, master.name) and cluster.clones("settler")[0].state == CloneState.RUNNING
        # Out of service it brings its bases to other nodes all the same, and desktops of them run there.
        allow(cluster, base_id, [master.name, other.name])
        (made,) = cluster.create("fresh", 1, "--start", base="original")
        assert made.node.name == other.name
    finally:
        change(Node, service_state=ServiceState.ENABLED)
        cluster.remove_made()
        base_actions.allow(cluster.admin, cluster.base(base_id), set())
        cluster.wait_operations()
        base_actions.remove(cluster.admin, cluster.base(base_id))
        cluster.wait_operations()
