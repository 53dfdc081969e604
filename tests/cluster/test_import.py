"""Importing machines as people have them: each element's outcome is listed first, and what was listed is done."""

import json
from collections.abc import Iterator, Mapping

import pytest

from ravada_web.models import CloneState, Operation
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import listing as base_list
from ravada_web.services.joining import inspection as joining
from tests.support.cluster import GUEST, IMAGES, Cluster, allow, ended
from tests.support.images import descriptor
from tests.support.originals import ORIGINALS, defined


@pytest.fixture(scope="module")
def originals(whole_cluster: Cluster) -> Iterator[Mapping[str, str]]:
    """The name of each machine, defined on the master."""
    with defined(whole_cluster.lab.master) as names:
        yield names


def inspected(cluster: Cluster, domain: str) -> Operation:
    return ended(
        base_actions.request_inspection(cluster.admin, name="wanted", description="", source="domain", domain=domain).id
    )


def told(operation: Operation) -> set[tuple[str, str, str]]:
    return {
        (line.verdict, element, line.text.kind.partition(".")[2])
        for line in base_list.listed(operation)
        for element, _count in line.elements
    }


@pytest.mark.parametrize("key", ORIGINALS)
def test_what_becomes_of_each_element_is_listed_and_nothing_written(
    cluster: Cluster, originals: Mapping[str, str], key: str
) -> None:
    inspection = inspected(cluster, originals[key])
    assert not inspection.error
    assert ORIGINALS[key].found <= told(inspection)
    elements = [element for verdict, element, _kind in told(inspection) if verdict == "refused"]
    assert not [row for row in told(inspection) if row[0] == "kept" and row[1] in elements], "nothing refused is kept"
    refused = [line for line in base_list.listed(inspection) if line.verdict == "refused"]
    assert all(line.remedy for line in refused), "what is refused comes with the command that fixes it"
    assert bool(refused) == any(verdict == "refused" for verdict, _element, _kind in ORIGINALS[key].found)
    assert not [base for base in base_list.listing(cluster.admin) if base.base.name == "wanted"]


@pytest.mark.parametrize(
    "key", ["spice", "second-audio", "passed-through", "shared-folder", "volume", "monitor", "words"]
)
def test_what_was_listed_is_imported_and_its_desktop_starts(
    cluster: Cluster, originals: Mapping[str, str], key: str
) -> None:
    inspection = inspected(cluster, originals[key])
    imported = ended(base_actions.request_import_as_listed(cluster.admin, inspection).id)
    base = cluster.base(imported.result["base_id"])
    assert not ended(base_actions.prepare(cluster.admin, base).id).error
    try:
        (clone,) = cluster.create("imported", 1, "--start", base="wanted")
        cluster.wait_state("imported", CloneState.RUNNING)
        running = cluster.lab.master.virsh("dumpxml", clone.name)
        for trace in ("spice", "hostdev", "4999", "cpuset", "/srv/course", "<title>"):
            assert trace not in running
    finally:
        cluster.remove_made()
        ended(base_actions.remove(cluster.admin, cluster.base(base.id)).id)


def test_an_original_that_changed_since_is_not_imported(cluster: Cluster, originals: Mapping[str, str]) -> None:
    master = cluster.lab.master
    inspection = inspected(cluster, originals["volume"])
    master.virsh("desc", originals["volume"], "--title", "another")
    failed = ended(base_actions.request_import_as_listed(cluster.admin, inspection).id)
    assert (failed.error.kind, failed.result["field"]) == ("bases.changed_since_listed", "domain")


def test_a_machine_saved_with_its_memory_is_refused_until_it_was_shut_down(
    cluster: Cluster, originals: Mapping[str, str]
) -> None:
    master, name = cluster.lab.master, originals["second-audio"]
    master.virsh("start", name)
    master.virsh("managedsave", name)
    (refused, *_others) = base_list.listed(inspected(cluster, name))
    assert (refused.verdict, refused.text.kind) == ("refused", "hardware.saved_memory")
    assert refused.remedy == f"virsh start {name} && virsh shutdown {name}"
    failed = ended(
        base_actions.request_import(cluster.admin, name="wanted", description="", source="domain", domain=name).id
    )
    assert "virsh start" in str(failed.error)
    master.virsh("managedsave-remove", name)
    assert ("refused", "domain", "saved_memory") not in told(inspected(cluster, name))


def test_files_are_refused_with_the_command_for_what_they_are(cluster: Cluster, originals: Mapping[str, str]) -> None:
    cluster.lab.master.run(
        [
            "sh",
            "-c",
            f"cd {IMAGES}; qemu-img convert -O vmdk {GUEST} other.vmdk; truncate -s 2000001 bare.img; cat > text",
        ],
        stdin=descriptor("/etc/shadow").decode(),
    )
    for file, kind, remedy in (
        ("other.vmdk", "bases.other_format", "qemu-img convert -f vmdk -O qcow2"),
        ("bare.img", "bases.other_format", "qemu-img convert -f raw -O qcow2"),
        ("text", "remote.refers", ""),
        ("plain.img", "remote.encrypted", "driver=luks"),
        ("nested.qcow2", "remote.encrypted_inside", "file.driver=qcow2"),
        ("damaged.qcow2", "remote.corrupt", "qemu-img check -r all"),
        ("overlay.qcow2", "remote.backing_file", "qemu-img convert -f qcow2 -O qcow2"),
        ("nowhere.qcow2", "remote.not_of_format", ""),
    ):
        inspection = ended(
            base_actions.request_inspection(
                cluster.admin,
                name="wanted", description="", source="file", paths=f"{IMAGES}/{file}", memory_mib=96, vcpus=1,
            ).id
        )  # fmt: skip
        (refused,) = [line for line in base_list.listed(inspection) if line.verdict == "refused"]
        assert refused.text.kind == kind
        assert refused.remedy.startswith(remedy) or remedy in refused.remedy
        assert bool(refused.remedy) == bool(remedy)


def test_the_command_line_lists_first_and_says_the_same(cluster: Cluster, originals: Mapping[str, str]) -> None:
    name = originals["monitor"]
    rows = json.loads(cluster.flask("bases", "inspect", "wanted", "--domain", name, "--json").stdout)
    assert ("dropped", "qemu:commandline") in {(row["verdict"], row["element"]) for row in rows}
    refused = cluster.flask("bases", "import", "wanted", "--domain", originals["damaged"], check=False)
    assert refused.returncode == 1
    assert "qemu-img check -r all" in refused.stdout and "qemu-img check -r all" in refused.stderr


def test_a_pool_of_devices_is_nobodys_lack(cluster: Cluster) -> None:
    master = cluster.lab.master
    volume_group = (
        "<pool type='logical'><name>vg0</name><source><name>vg0</name></source><target><path>/dev/vg0</path></target>"
        "</pool>"
    )
    master.run(["virsh", "pool-define", "/dev/stdin"], stdin=volume_group)
    try:
        for node in cluster.lab.nodes:
            ended(joining.request_inspection(cluster.admin, cluster.node(node.name)).id)
            row = cluster.node(node.name)
            assert [pool.name for pool in row.pools] == ["default"]
            assert not [finding for finding in row.findings if "--target /dev" in finding["remedy"]]
            assert not [finding for finding in row.findings if finding["code"] == "pool:vg0"]
    finally:
        master.virsh("pool-undefine", "vg0")
    allow(cluster, cluster.base_id)
