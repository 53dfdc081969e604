"""A node's host is installed anew under its name and address: it joins as a new host in the node's place."""

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Event, Observed, Replica, ReplicaState, ServiceState, Trust
from ravada_web.services.nodes.endpoints import public_key
from tests.support.cluster import Cluster
from tests.support.servers import wait_until


def test_a_host_installed_anew_joins_in_the_place_of_its_node(cluster: Cluster) -> None:
    host = cluster.lab.nodes[2]
    rows = cluster.create("anew", 3)
    (doomed,) = [row.name for row in rows if row.node.name == host.name]
    before = cluster.node(host.name)
    former = {"host_key": before.host_key, "machine_id": before.machine_id}
    host.install_anew()
    host.wait_ready()
    wait_until(lambda: cluster.node(host.name).trust == Trust.CHANGED, 60, "it is quarantined")
    host.authorize(public_key())
    said = cluster.flask("nodes", "replace", host.name, "--accept", host.host_key_fingerprint, "--yes", check=False)
    assert said.returncode == 1 and "persistent desktops of this node are lost" in said.stderr
    assert "installed anew" in said.stdout
    assert (cluster.node(host.name).newcomer["who"], cluster.node(host.name).trust) == ("anew", Trust.CHANGED)
    cluster.flask("nodes", "replace", host.name, "--lost", "--yes")

    row = cluster.node(host.name)
    assert (row.trust, row.service_state, row.former_hosts) == (Trust.PINNED, ServiceState.ENABLED, [former])
    assert row.proved_at is not None and row.machine_id == host.run(["cat", "/etc/machine-id"]).stdout.strip()
    assert doomed not in [clone.name for clone in cluster.clones("anew")] and len(cluster.clones("anew")) == 2
    assert db.session.scalar(select(Event).where(Event.action == "given_up", Event.object_name == doomed)) is not None
    wait_until(lambda: cluster.node(host.name).observed == Observed.UP, 60, "it is up")

    def copied() -> bool:
        db.session.rollback()
        states = db.session.scalars(select(Replica.state).where(Replica.node_id == row.id)).all()
        return set(states) == {ReplicaState.READY}

    wait_until(copied, 60, "the bases chosen for it are copied there")
    cluster.create("later", 3)
    assert len(cluster.disks(host, "later")) == cluster.spread("later")[host.name] >= 1
