"""The main job on three real nodes: clones are spread, exist on the nodes as the rows say, run, stop and go."""

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.hypervisor.platform import read_platform
from ravada_web.models import Clone, CloneState, Operation, OperationState
from ravada_web.platforms import Platform, is_versioned
from ravada_web.services.bases.migration import platform_on
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import requests as clone_requests
from tests.lab.screen import read_screen, screenshot
from tests.support.cluster import IMAGES, Cluster, allow
from tests.support.servers import wait_until


def test_twelve_clones_land_four_on_each_node_and_are_there(cluster: Cluster) -> None:
    cluster.create("twelve", 12)
    assert cluster.spread("twelve") == {"rvt1": 4, "rvt2": 4, "rvt3": 4}
    rows = cluster.wait_state("twelve", CloneState.STOPPED)
    for node in cluster.lab.nodes:
        mine = [clone for clone in rows if clone.node.name == node.name]
        assert {clone.name for clone in mine} == {name for name in cluster.domains(node) if name.startswith("twelve")}
        for clone in mine:
            assert node.virsh("domuuid", clone.name).strip() == clone.uuid
            source = node.virsh("domblklist", clone.name).split()[1]
            said = node.run(["qemu-img", "info", source]).stdout
            backing = re.search(r"^backing file: (\S+)", said, re.M)
            assert backing and backing[1] == f"{IMAGES}/ravada-base-{cluster.base_id}-v1-vda.qcow2"


def test_clones_start_with_their_groups_machine_type_and_processor_on_every_node(cluster: Cluster) -> None:
    cluster.create("alike", 3, "--start")
    base = cluster.base(cluster.base_id)
    made = cluster.wait_state("alike", CloneState.RUNNING)
    group = platform_on(db.session(), base, made[0].node_id)
    assert is_versioned(group.machine) and group.processor not in ("", "qemu64")
    for node, clone in ((node, clone) for node in cluster.lab.nodes for clone in made if clone.node.name == node.name):
        assert read_platform(node.virsh("dumpxml", clone.name)) == ("qemu", group)
        assert (clone.virt_type, Platform(clone.machine, clone.processor)) == ("qemu", group)


def test_the_list_says_what_scripts_need(cluster: Cluster) -> None:
    cluster.create("script", 2, "--volatile")
    rows = [row for row in cluster.listed("clones") if row["name"].startswith("script")]
    assert len(rows) == 2
    assert all({"id", "name", "base", "node", "owner", "state", "volatile"} <= set(row) for row in rows)
    assert all(row["volatile"] is True and row["base"] == "linux" and row["owner"] == "admin" for row in rows)


def test_a_node_that_is_not_ticked_gets_none(cluster: Cluster) -> None:
    allow(cluster, cluster.base_id, ["rvt1", "rvt3"])
    try:
        cluster.create("two", 6)
        assert cluster.spread("two") == {"rvt1": 3, "rvt2": 0, "rvt3": 3}
        said = json.loads(cluster.flask("clones", "why", "two-1", "--json").stdout)
        (verdict,) = [verdict for verdict in said["verdicts"] if verdict["node_name"] == "rvt2"]
        assert (verdict["taken"], verdict["reason"]["code"]) == (0, "not_allowed")
        assert "rvt2" in cluster.flask("clones", "why", "two-1").stdout
    finally:
        cluster.wait_operations()
        allow(cluster, cluster.base_id)


def test_forty_clones_by_eight_requests_at_once_are_within_one_of_even(cluster: Cluster) -> None:
    cluster.made += [f"burst{number}" for number in range(8)]

    def ask(number: int) -> None:
        with cluster.app.app_context():
            wanted = clone_requests.Request(cluster.base_id, 5, f"burst{number}", cluster.admin.name)
            clone_requests.request_clones(cluster.admin, wanted)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    for number in range(8):
        cluster.wait_state(f"burst{number}", CloneState.STOPPED)
    on_nodes = [sum(name.startswith("burst") for name in cluster.domains(node)) for node in cluster.lab.nodes]
    assert sum(on_nodes) == 40
    assert max(on_nodes) - min(on_nodes) <= 1


def test_a_guest_boots_shows_its_own_name_and_shuts_down(cluster: Cluster) -> None:
    (clone,) = cluster.create("screen", 1)
    cluster.flask("clones", "start", clone.name, "--wait")
    cluster.wait_state("screen", CloneState.RUNNING)
    node = next(node for node in cluster.lab.nodes if node.name == clone.node.name)
    expected = f"name: {clone.name}"
    wait_until(lambda: expected in read_screen(screenshot(node, clone.name)), 90, f"its screen shows “{expected}”")
    assert f"card: {clone.nics[0].mac}" in read_screen(screenshot(node, clone.name))
    cluster.flask("clones", "stop", clone.name, "--wait")
    cluster.wait_state("screen", CloneState.STOPPED)
    assert "shut off" in node.virsh("domstate", clone.name)


def test_a_running_guest_can_be_forced_off(cluster: Cluster) -> None:
    (clone,) = cluster.create("power", 1, "--start")
    cluster.wait_state("power", CloneState.RUNNING)
    cluster.flask("clones", "stop", "--force", clone.name, "--wait")
    cluster.wait_state("power", CloneState.STOPPED)


def test_a_volatile_clone_is_gone_once_it_stops(cluster: Cluster) -> None:
    (clone,) = cluster.create("gone", 1, "--volatile", "--start")
    cluster.wait_state("gone", CloneState.RUNNING)
    node = next(node for node in cluster.lab.nodes if node.name == clone.node.name)
    node.virsh("destroy", "gone-1")
    wait_until(lambda: not cluster.clones("gone"), 30, "its row is gone")
    assert "gone-1" not in cluster.domains(node)
    assert cluster.disks(node, "gone") == []


def test_deleting_leaves_neither_domain_nor_disk_and_no_one_elses_goes(cluster: Cluster) -> None:
    kept = cluster.create("keep", 3)
    rows = cluster.create("drop", 6)
    clone_actions.delete(cluster.admin, [row.id for row in rows])
    wait_until(lambda: not cluster.clones("drop"), 30, "the rows are gone")
    for node in cluster.lab.nodes:
        assert not [name for name in cluster.domains(node) if name.startswith("drop")]
        assert cluster.disks(node, "drop") == []
    assert sum(len(cluster.disks(node, "keep")) for node in cluster.lab.nodes) == len(kept)


def test_a_domain_that_is_none_of_ours_is_never_touched(cluster: Cluster) -> None:
    node = cluster.lab.nodes[0]
    foreign = "<domain type='qemu'><name>guarded-1</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    node.run(["virsh", "define", "/dev/stdin"], stdin=foreign)
    uuid = node.virsh("domuuid", "guarded-1")
    try:
        allow(cluster, cluster.base_id, ["rvt1"])
        cluster.made.append("guarded")
        failed = cluster.flask(
            "clones", "create", "linux", "--count", "1", "--prefix", "guarded", "--wait", check=False
        )
        assert failed.returncode == 1 and "guarded-1" in failed.stderr
        assert {clone.reason.kind for clone in cluster.clones("guarded")} == {"clones.name_taken_on_node"}
        assert node.virsh("domuuid", "guarded-1") == uuid
        cluster.remove_made()
        assert node.virsh("domuuid", "guarded-1") == uuid
    finally:
        node.virsh("undefine", "guarded-1")
        allow(cluster, cluster.base_id)


def operations_of(clones: Sequence[Clone], kind: str) -> list[Operation]:
    db.session.rollback()
    newest = select(Operation).where(Operation.kind == kind).order_by(Operation.id.desc())
    ids = {clone.operation_id for clone in clones}
    return [row for row in db.session.scalars(newest) if row.id in ids]


def test_of_a_batch_of_25_with_one_that_cannot_be_made_24_are_and_a_retry_makes_the_rest(cluster: Cluster) -> None:
    node = cluster.lab.nodes[0]
    foreign = "<domain type='qemu'><name>batch-7</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    node.run(["virsh", "define", "/dev/stdin"], stdin=foreign)
    defined = True
    try:
        allow(cluster, cluster.base_id, ["rvt1"])
        cluster.made.append("batch")
        create = ("clones", "create", "linux", "--count", "25", "--prefix", "batch", "--wait", "--json")
        done = cluster.flask(*create, check=False)
        rows = {row["clone"]: row for row in json.loads(done.stdout)}
        assert done.returncode == 3
        assert [name for name, row in rows.items() if row["result"] != "done"] == ["batch-7"]
        assert rows["batch-7"]["result"] == "failed" and "not one of ours" in rows["batch-7"]["reason"]
        states = {clone.name: clone.state for clone in cluster.clones("batch")}
        assert states == {name: "failed" if name == "batch-7" else "stopped" for name in rows}
        assert cluster.disks(node, "batch-7.") == []
        (failed,) = operations_of(cluster.clones("batch"), "clones_create")
        assert failed.state == OperationState.FAILED and str(failed.error).startswith("1 of 25 failed. batch-7: ")

        def others() -> dict[str, object]:
            rows = [clone for clone in cluster.clones("batch") if clone.name != "batch-7"]
            return {clone.name: (clone.changed_round, clone.operation_id) for clone in rows}

        before = others()
        node.virsh("undefine", "batch-7")
        defined = False
        cluster.flask("operations", "retry", str(failed.id))
        cluster.wait_state("batch", CloneState.STOPPED)
        assert others() == before
        assert "batch-7" in cluster.domains(node)

        # Deleting is no other: one whose disk cannot go stays, with its reason, and the others are gone.
        stuck = cluster.disks(node, "batch-3.")[0]
        node.run(["sh", "-c", f"cd {IMAGES}; mv {stuck} away; mkdir {stuck}"])
        names = [clone.name for clone in cluster.clones("batch")]
        done = cluster.flask("clones", "delete", *names, "--yes", "--wait", "--json", check=False)
        rows = {row["clone"]: row for row in json.loads(done.stdout)}
        assert done.returncode == 3
        assert [name for name, row in rows.items() if row["result"] != "done"] == ["batch-3"]
        (left,) = cluster.clones("batch")
        assert (left.name, left.state) == ("batch-3", CloneState.FAILED) and "rm" in str(left.reason)
        node.run(["sh", "-c", f"cd {IMAGES}; rmdir {stuck}; rm away"])
    finally:
        if defined:
            node.virsh("undefine", "batch-7")
        cluster.remove_made()
        allow(cluster, cluster.base_id)
