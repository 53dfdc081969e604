"""A desktop whose row is lost, as after a restored database: found on its node, exported whole, brought back."""

from itertools import combinations

from sqlalchemy import select

from ravada_web.cli.common import wait
from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Remains
from ravada_web.services.lifecycle import exports, orphans
from ravada_web.services.transaction import transaction
from tests.support.cluster import IMAGES, Cluster


def test_a_desktop_whose_row_is_lost_is_found_exported_and_brought_back(cluster: Cluster) -> None:
    rows = cluster.create("lost", 4)
    # Two of one node: they stand on one file.
    kept, lost = next(pair for pair in combinations(rows, 2) if pair[0].node_id == pair[1].node_id)
    host, name, uuid = next(one for one in cluster.lab.nodes if one.name == lost.node.name), lost.name, lost.uuid
    disk = f"{IMAGES}/{lost.disk_file('vda')}"
    host.run(["qemu-io", "-c", "write -P 7 1M 64k", disk])
    cluster.flask("clones", "start", kept.name, "--wait")
    with transaction() as session:
        session.delete(session.get_one(Clone, lost.id))
    wait([orphans.request_look(cluster.admin, cluster.node(host.name)).id], 60)
    row = db.session.scalars(select(Remains)).one()
    assert (row.name, row.kind, row.uuid, row.base_name) == (name, "machine", uuid, "linux")
    assert (row.owner_name, row.runs) == (cluster.admin.name, False) and row.size
    (done,) = wait([exports.request(cluster.admin, cluster.node(host.name), row.id).id], 120)
    (path,) = done.result["files"]
    host.run(["qemu-img", "compare", "-q", disk, path])
    host.run(["rm", "-r", f"{IMAGES}/{exports.FOLDER}"])
    orphans.bring_back(cluster.admin, cluster.node(host.name), row.id, cluster.admin.name)
    cluster.check_until_up(host.name)
    cluster.flask("clones", "stop", kept.name, "--force", "--wait")
    cluster.wait_state("lost", CloneState.STOPPED)
