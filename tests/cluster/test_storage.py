"""Storage on real nodes: who uses a pool, and the floor below which nothing more is put there."""

import pytest
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import CloneState, Pool, Replica, ReplicaState
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.errors import NodeRefuses
from ravada_web.services.placements import choice as placement_choice
from ravada_web.services.storage import pools, usage
from tests.support.cluster import IMAGES, Cluster
from tests.support.servers import wait_until


def pool_of(cluster: Cluster, name: str) -> Pool:
    return cluster.node(name).pools[0]


def set_floor(cluster: Cluster, name: str, floor_mib: int | None) -> None:
    pool = pool_of(cluster, name)
    pools.set_marks(cluster.admin, pool, warn_percent=80, critical_percent=90, floor_mib=floor_mib)


def test_every_file_of_a_pool_has_an_owner(cluster: Cluster) -> None:
    cluster.create("used", 6)
    node = cluster.lab.nodes[1]
    left, foreign = ".gone.qcow2.op-9-9.part", "some\u202ebody's.iso"
    node.run(["sh", "-c", f"cd {IMAGES}; printf x > '{left}'; head -c 3000000 /dev/urandom > \"{foreign}\""])
    begun = usage.request_count(cluster.admin, cluster.node("rvt2"))
    cluster.wait_operations()
    assert begun.state == "done", begun.error
    found = pool_of(cluster, "rvt2").usage
    assert found["kinds"]["clone"]["count"] == cluster.spread("used")["rvt2"] > 0
    on_it = select(Replica).where(Replica.node_id == cluster.node("rvt2").id, Replica.state == ReplicaState.READY)
    disks = sum(len(replica.version.disks) for replica in db.session.scalars(on_it))
    assert found["kinds"]["base"]["count"] == 2 * disks, "each disk, and the overlay that clones are copies of"
    assert found["kinds"]["orphan"]["count"] >= 1
    assert found["growth_mib"] > 0
    paths = {line["path"]: line["kind"] for line in found["biggest"]}
    assert paths[f"{IMAGES}/{left}"] == "orphan"
    assert paths[f"{IMAGES}/some�body's.iso"] == "other"
    node.run(["sh", "-c", f"cd {IMAGES}; rm -f '{left}' \"{foreign}\""])


def test_below_its_floor_a_pool_takes_nothing_and_says_the_figure(cluster: Cluster) -> None:
    (clone, *_others) = cluster.create("floor", 3)
    name = clone.node.name
    free = pool_of(cluster, name).free_mib
    assert free is not None
    # Its disk is this host's: what others free on it meanwhile is less than this.
    floor = free + 2048
    set_floor(cluster, name, floor)
    try:
        with pytest.raises(NodeRefuses) as refused:
            clone_actions.start(cluster.admin, [clone.id]).require_some()
        assert refused.value.message.figures["why"].figures["floor_mib"] == floor
        made = cluster.create("elsewhere", 4)
        assert name not in {other.node.name for other in made}
        verdicts = {
            verdict["node_name"]: verdict for verdict in placement_choice.explained(made[0].decision)["verdicts"]
        }
        assert verdicts[name]["reason"]["figures"]["reserve_mib"] == floor
    finally:
        set_floor(cluster, name, None)
    clone_actions.start(cluster.admin, [clone.id])
    wait_until(lambda: cluster.clones("floor")[0].state == CloneState.RUNNING, 60, "it runs")
    db.session.rollback()
