"""Copies of bases on real nodes: what is deleted, changed or lost is seen by the checks and brought in order under its
clones; quick clicks end in what was asked last; nothing of a killed copy stays."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.models import Base, Clone, CloneState, Operation, OperationState, Replica, ReplicaState
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.desktops import launching
from tests.lab import LabNode
from tests.support.cluster import GUEST, IMAGES, Cluster, make_base
from tests.support.servers import wait_until


def replica(cluster: Cluster, node: str, base_id: int | None = None) -> Replica | None:
    base, row = cluster.base(base_id), cluster.node(node)
    of_base = select(Replica).where(Replica.version.has(base_id=base.id), Replica.node_id == row.id)
    return db.session.scalar(of_base)


def state(cluster: Cluster, node: str, base_id: int | None = None) -> str | None:
    found = replica(cluster, node, base_id)
    return found.state if found else None


def file_of(cluster: Cluster, base_id: int | None = None) -> str:
    return f"{IMAGES}/ravada-base-{base_id or cluster.base_id}-v1-vda.qcow2"


def digest(node: LabNode, path: str) -> str:
    return node.run(["sha256sum", path], check=False).stdout.split(" ")[0]


def change(node: LabNode, path: str) -> None:
    """Write one byte where nobody should."""
    script = "chmod u+w $0; printf '\\377' | dd of=$0 bs=1 seek=5000000 conv=notrunc; chmod a-w $0"
    node.run(["sh", "-c", script, path])


def wait_for(cluster: Cluster, node: str, wanted: str | None, base_id: int | None = None) -> None:
    def reached() -> bool:
        return state(cluster, node, base_id) == wanted

    try:
        wait_until(reached, 60, f"the replica on {node} is {wanted}")
    except AssertionError as error:
        row = replica(cluster, node, base_id)
        raise AssertionError(
            f"{error}, not {row and (row.state, str(row.reason), row.retry_at, row.failures)}"
        ) from error


@pytest.fixture
def on_rvt2(cluster: Cluster) -> Iterator[Cluster]:
    """Clones are placed on rvt2 alone."""
    for name in ("rvt1", "rvt3"):
        cluster.flask("nodes", "disable", name)
    yield cluster
    for name in ("rvt1", "rvt3"):
        cluster.flask("nodes", "enable", name)


def test_a_deleted_file_is_copied_again_under_its_clones_which_start_again(on_rvt2: Cluster) -> None:
    cluster, node, path = on_rvt2, on_rvt2.lab.nodes[1], file_of(on_rvt2)
    before = digest(node, path)
    (clone,) = cluster.create("under", 1)
    node.run(["rm", path])
    wait_until(lambda: state(cluster, "rvt2") != ReplicaState.READY, 10, "a check has seen it")
    wait_for(cluster, "rvt2", ReplicaState.READY)
    assert digest(node, path) == before
    clone_actions.start(cluster.admin, [clone.id])
    cluster.wait_state("under", CloneState.RUNNING)


def test_a_start_that_fails_for_want_of_the_file_marks_the_replica_at_once(on_rvt2: Cluster) -> None:
    cluster, node, path = on_rvt2, on_rvt2.lab.nodes[1], file_of(on_rvt2)
    (clone,) = cluster.create("early", 1)
    last = cluster.node("rvt2").checked_at
    wait_until(lambda: cluster.node("rvt2").checked_at != last, 10, "a check was just made")
    node.run(["rm", path])
    clone_actions.start(cluster.admin, [clone.id])
    cluster.wait_operations()
    (failed,) = cluster.clones("early")
    assert (failed.state, failed.reason.kind) == (CloneState.STOPPED, "clones.base_not_whole")
    wait_for(cluster, "rvt2", ReplicaState.READY)
    clone_actions.start(cluster.admin, [clone.id])
    cluster.wait_state("early", CloneState.RUNNING)


def test_making_clones_of_a_file_that_is_missing_or_changed_is_refused_and_mends_it(on_rvt2: Cluster) -> None:
    cluster, node, path = on_rvt2, on_rvt2.lab.nodes[1], file_of(on_rvt2)
    for number, damage in enumerate((lambda: node.run(["rm", path]), lambda: change(node, path))):
        before = digest(node, path)
        last = cluster.node("rvt2").checked_at
        wait_until(lambda last=last: cluster.node("rvt2").checked_at != last, 10, "a check was just made")
        damage()
        cluster.made.append(f"made{number}")
        request_clones(cluster.admin, Request(cluster.base_id, 1, f"made{number}", cluster.admin.name))
        cluster.wait_operations()
        wait_for(cluster, "rvt2", ReplicaState.READY)
        assert digest(node, path) == before
        for clone in cluster.clones(f"made{number}"):
            assert (clone.state, clone.reason.kind) == (CloneState.FAILED, "clones.base_not_whole")


def test_a_running_clone_keeps_its_file_while_a_changed_one_is_replaced(on_rvt2: Cluster) -> None:
    cluster, node, path = on_rvt2, on_rvt2.lab.nodes[1], file_of(on_rvt2)
    before = digest(node, path)
    (clone,) = cluster.create("runs", 1, "--start")
    cluster.wait_state("runs", CloneState.RUNNING)
    change(node, path)
    wait_until(lambda: digest(node, path) == before, 30, "a whole copy is in its place")
    wait_for(cluster, "rvt2", ReplicaState.READY)
    assert cluster.clones("runs")[0].state == CloneState.RUNNING
    clone_actions.force_off(cluster.admin, [clone.id])
    cluster.wait_state("runs", CloneState.STOPPED)
    clone_actions.start(cluster.admin, [clone.id])
    cluster.wait_state("runs", CloneState.RUNNING)


def test_a_host_that_was_installed_anew_gets_its_copies_and_clones_again(cluster: Cluster) -> None:
    node = cluster.lab.nodes[2]
    node.run(["sh", "-c", f"rm -rf {IMAGES}/*"])
    wait_until(lambda: state(cluster, "rvt3") != ReplicaState.READY, 10, "a check has seen it")
    cluster.create("away", 2)
    wait_for(cluster, "rvt3", ReplicaState.READY)
    for name in ("rvt1", "rvt2"):
        cluster.flask("nodes", "disable", name)
    try:
        cluster.create("anew", 1, "--start")
        cluster.wait_state("anew", CloneState.RUNNING)
    finally:
        for name in ("rvt1", "rvt2"):
            cluster.flask("nodes", "enable", name)


def test_an_original_that_was_changed_is_blamed_itself_until_it_is_restored(cluster: Cluster) -> None:
    base_id = make_base(cluster, "flipped", [GUEST], ["rvt1"])
    path, master = file_of(cluster, base_id), cluster.lab.master
    master.run(["cp", "-p", path, "/root/backup"])
    change(master, path)
    base_actions.allow(cluster.admin, cluster.base(base_id), [cluster.node(name).id for name in ("rvt1", "rvt2")])
    for name in ("rvt1", "rvt2"):
        wait_for(cluster, name, ReplicaState.FAILED, base_id)
        found = replica(cluster, name, base_id)
        assert found is not None
        wait_until(lambda name=name: "backup" in str(replica(cluster, name, base_id).reason), 40, "it says what to do")
    assert path not in cluster.lab.nodes[1].run(["sh", "-c", f"ls -A {IMAGES}"]).stdout
    master.run(["sh", "-c", f"cp -p /root/backup {path}.new && mv {path}.new {path}"])
    base_actions.allow(cluster.admin, cluster.base(base_id), [cluster.node(name).id for name in ("rvt1", "rvt2")])
    wait_for(cluster, "rvt1", ReplicaState.READY, base_id)
    base_actions.allow(cluster.admin, cluster.base(base_id), [cluster.node(name).id for name in ("rvt1", "rvt2")])
    wait_for(cluster, "rvt2", ReplicaState.READY, base_id)
    remove(cluster, base_id)


def remove(cluster: Cluster, base_id: int) -> None:
    cluster.wait_operations()
    base_actions.remove(cluster.admin, cluster.base(base_id))
    wait_until(lambda: db.session.rollback() or db.session.get(Base, base_id) is None, 60, "it is removed")
    for node in cluster.lab.nodes:
        assert f"ravada-base-{base_id}-" not in node.run(["ls", "-A", IMAGES]).stdout


def test_quick_ticks_while_copies_run_end_in_what_was_asked_last(cluster: Cluster) -> None:
    base_id = make_base(cluster, "quick", [big_file(cluster)], ["rvt1"])
    rvt1, others = cluster.node("rvt1").id, [cluster.node(name).id for name in ("rvt2", "rvt3")]
    for number in range(8):
        base_actions.allow(cluster.admin, cluster.base(base_id), [rvt1, *(others if number % 2 == 0 else [])])
        time.sleep(0.1 * number)  # what is under way differs each time; none is waited for
    base_actions.allow(cluster.admin, cluster.base(base_id), [rvt1, others[0]])
    wait_for(cluster, "rvt2", ReplicaState.READY, base_id)
    wait_for(cluster, "rvt3", None, base_id)
    cluster.wait_operations()
    db.session.rollback()
    errors = db.session.scalars(select(Operation).where(Operation.base_id == base_id)).all()
    assert [operation for operation in errors if operation.error.kind == "operations.unexpected"] == []
    assert f"ravada-base-{base_id}-" not in cluster.lab.nodes[2].run(["ls", "-A", IMAGES]).stdout
    assert ".part" not in cluster.lab.nodes[1].run(["ls", "-A", IMAGES]).stdout
    remove(cluster, base_id)


def big_file(cluster: Cluster) -> str:
    """An image that takes a while to copy."""
    path = f"{IMAGES}/big.qcow2"
    script = f"qemu-img create -q -f qcow2 {path} 600M; qemu-io -c 'write -P 5 0 300M' {path}"
    cluster.lab.master.run(["sh", "-c", script])
    return path


def test_a_killed_copy_leaves_nothing(cluster: Cluster) -> None:
    base_id = make_base(cluster, "killed", [big_file(cluster)], ["rvt1"])
    node = cluster.lab.nodes[1]
    base_actions.allow(cluster.admin, cluster.base(base_id), [cluster.node(name).id for name in ("rvt1", "rvt2")])

    def part() -> str:
        return node.run(["sh", "-c", f"ls -A {IMAGES} | grep part"], check=False).stdout

    wait_until(part, 20, "a copy is under way", poll=0.02)
    first = part()
    os.kill(cluster.pid_of("worker bulk"), signal.SIGKILL)
    wait_for(cluster, "rvt2", ReplicaState.READY, base_id)
    assert first and part() == ""
    remove(cluster, base_id)


def test_the_last_clones_deletion_completes_a_removal_and_the_node_can_go(on_rvt2: Cluster) -> None:
    cluster = on_rvt2
    base_id = make_base(cluster, "leaving", [GUEST], ["rvt1", "rvt2"])
    (clone,) = cluster.create("leaving", 1, base="leaving")
    base_actions.allow(cluster.admin, cluster.base(base_id), [cluster.node("rvt1").id])
    cluster.wait_operations()
    assert state(cluster, "rvt2", base_id) == ReplicaState.READY
    clone_actions.delete(cluster.admin, [clone.id])
    wait_for(cluster, "rvt2", None, base_id)
    assert db.session.scalar(select(Clone.id).where(Clone.base_id == base_id)) is None
    remove(cluster, base_id)


def test_a_network_that_is_started_again_is_known_within_a_check(cluster: Cluster) -> None:
    node = cluster.lab.nodes[1]
    network = "<network><name>rvt-late</name><bridge name='rvtlate0'/><ip address='10.99.0.1'/></network>"
    node.run(["sh", "-c", f'echo "{network}" > /tmp/late.xml; virsh net-define /tmp/late.xml'])
    try:
        node.virsh("net-start", "rvt-late")
        wait_until(lambda: "rvt-late" in cluster.node("rvt2").facts["networks"], 12, "it is known")
        node.virsh("net-destroy", "rvt-late")
        wait_until(lambda: "rvt-late" not in cluster.node("rvt2").facts["networks"], 12, "it is known to be off")
    finally:
        node.run(["virsh", "net-undefine", "rvt-late"], check=False)


def test_a_pool_that_was_stopped_gets_nothing_and_is_used_as_soon_as_it_is_back(on_rvt2: Cluster) -> None:
    cluster, node = on_rvt2, on_rvt2.lab.nodes[1]
    node.virsh("pool-destroy", "default")
    wait_until(lambda: not cluster.node("rvt2").pools[0].active, 12, "it is known to be off")
    refused = cluster.flask("clones", "create", "linux", "--prefix", "pool", check=False)
    assert refused.returncode == 1 and "pool" in refused.stderr
    node.virsh("pool-start", "default")
    wait_until(
        lambda: cluster.node("rvt2").pools[0].active and cluster.node("rvt2").pools[0].free_mib, 12, "it is back"
    )
    cluster.create("pool", 1, "--start")
    cluster.wait_state("pool", CloneState.RUNNING)


def test_the_operations_page_has_no_unexpected_error(cluster: Cluster) -> None:
    failed = select(Operation).where(Operation.state == OperationState.FAILED)
    db.session.rollback()
    unexpected = [str(row.error) for row in db.session.scalars(failed) if row.error.kind == "operations.unexpected"]
    assert unexpected == []


def test_a_start_and_a_launch_are_not_refused_for_a_pool_that_is_back_since_a_moment_ago(on_rvt2: Cluster) -> None:
    cluster, node = on_rvt2, on_rvt2.lab.nodes[1]
    first, second = cluster.create("back", 2)
    for act in (
        lambda: clone_actions.start(cluster.admin, [first.id]).require_some(),
        lambda: launching.launch(cluster.admin, second.id),
    ):
        node.virsh("pool-destroy", "default")
        wait_until(lambda: not cluster.node("rvt2").pools[0].active, 12, "it is known to be off")
        with pytest.raises(Conflict):
            act()
        node.virsh("pool-start", "default")
        act()
    cluster.wait_state("back", CloneState.RUNNING)
