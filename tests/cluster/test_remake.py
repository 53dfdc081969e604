"""A node dies under volatile and persistent desktops: the ones are made again elsewhere, the others wait for it."""

from collections.abc import Sequence

from sqlalchemy import func, select

from ravada_web.extensions import db
from ravada_web.models import CloneState, Operation, OperationState
from tests.support.cluster import IMAGES, Cluster, make_base
from tests.support.servers import wait_until


def test_volatile_clones_run_elsewhere_and_persistent_ones_wait_for_their_node(cluster: Cluster) -> None:
    # An empty disk: guests of firmware alone.
    path = f"{IMAGES}/again.qcow2"
    cluster.lab.master.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"])
    make_base(cluster, "again", [path])
    dies, others = cluster.lab.nodes[1], [cluster.lab.nodes[0], cluster.lab.nodes[2]]
    kept = next(clone for clone in cluster.create("kept", 3, base="again") if clone.node.name == dies.name)
    mark = f"{IMAGES}/{kept.disk_file('vda')}"
    dies.run(["sh", "-c", f"sync; sha256sum {mark} >/root/mark"])
    cluster.create("gone", 3, "--volatile", "--start", base="again")
    before = {clone.id: (clone.name, clone.uuid) for clone in cluster.wait_state("gone", CloneState.RUNNING)}
    lost = {clone.id for clone in cluster.clones("gone") if clone.node.name == dies.name}
    assert len(lost) == 1
    before_it = [row.id for row in remade()]
    started_before = started()
    dies.kill()
    wait_until(lambda: cluster.spread("gone")[dies.name] == 0, 30, "they have other places")
    after = cluster.wait_state("gone", CloneState.RUNNING)
    assert {clone.id: clone.name for clone in after} == {number: name for number, (name, _uuid) in before.items()}
    assert started() == started_before, "what makes them again starts them, and no wave comes after it"
    assert {clone.id for clone in after if clone.uuid != before[clone.id][1]} == lost
    assert cluster.spread("gone")[dies.name] == 0
    there = [name for node in others for name in cluster.domains(node) if name.startswith("gone-")]
    assert sorted(there) == sorted(name for name, _uuid in before.values())
    assert {clone.state for clone in cluster.clones("kept") if clone.id == kept.id} == {CloneState.UNREACHABLE}

    def deaths() -> list[str]:
        return [row.state for row in remade() if row.id not in before_it]

    wait_until(lambda: deaths() == [OperationState.DONE], 30, "that was one piece of work, and is over")
    dies.start()
    cluster.check_until_up(dies.name)
    wait_until(lambda: not any(name.startswith("gone-") for name in cluster.domains(dies)), 60, "no double is left")
    cluster.wait_state("kept", CloneState.STOPPED)
    dies.run(["sha256sum", "--quiet", "--check", "/root/mark"])
    assert not cluster.disks(dies, "gone-")


def started() -> int | None:
    """The newest operation that starts clones."""
    db.session.rollback()
    return db.session.scalar(select(func.max(Operation.id)).where(Operation.kind == "clones_start"))


def remade() -> Sequence[Operation]:
    """All that made clones again, for this death and for those of other tests."""
    db.session.rollback()
    return db.session.scalars(select(Operation).where(Operation.kind == "clones_remake")).all()
