"""What is refused, on real hosts and files, with its cause; and that nothing is left of it."""

import pytest
from sqlalchemy import func, select

from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.messages.message import SENTENCES
from ravada_web.models import Base, Node, OperationState
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.joining import host_keys
from tests.lab import LabNode
from tests.support.cluster import GUEST, IMAGES, Cluster, ended, importable
from tests.support.refusals import refused
from tests.support.servers import wait_until
from tests.support.sshd import free_port


def count(model: type[Node] | type[Base]) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.parametrize(
    ("address", "field", "kind"),
    [("no-such-host.invalid", "address", "remote.unknown_address"), ("127.0.0.1", "port", "remote.port_refused")],
)
def test_a_host_that_does_not_answer_is_refused_beside_its_field(
    cluster: Cluster, address: str, field: str, kind: str
) -> None:
    before = count(Node)
    scan = host_keys.request_join(cluster.admin, name="new", address=address, port=free_port(), user="root")
    failed = ended(scan.id)
    assert failed.state == OperationState.FAILED
    assert (failed.result["field"], failed.error.kind) == (field, kind)
    assert count(Node) == before


def test_a_fingerprint_that_was_not_shown_is_not_accepted(cluster: Cluster) -> None:
    node = cluster.lab.nodes[0]
    port = 22
    second = node.address.rpartition(".")[0] + ".98"
    node.run(["ip", "addr", "add", f"{second}/24", "dev", "eth0"], check=False)
    scan = host_keys.request_join(cluster.admin, name="odd", address=second, port=port, user="root")
    ended(scan.id)
    with pytest.raises(InvalidInput):
        host_keys.accept_join(cluster.admin, scan.id, "SHA256:something-else")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "rvt1"}, "name"),
        ({"name": "<b>"}, "name"),
        ({"address": "-oProxyCommand=x"}, "address"),
        ({"address": "a b"}, "address"),
        ({"port": 0}, "port"),
        ({"port": 70000}, "port"),
        ({"user": "-l"}, "user"),
    ],
)
def test_a_wrong_field_is_named_before_anything_is_asked(
    cluster: Cluster, changes: dict[str, str | int], field: str
) -> None:
    values = {"name": "fresh", "address": "198.18.0.1", "port": 22, "user": "root", **changes}
    with pytest.raises(InvalidInput) as wrong:
        host_keys.request_join(cluster.admin, **values)  # type: ignore[arg-type]
    assert list(wrong.value.fields) == [field]


def test_an_address_that_is_a_nodes_already_is_refused(cluster: Cluster) -> None:
    address = cluster.lab.nodes[1].address
    with refused(InvalidInput, "nodes.address_taken", node="rvt2"):
        host_keys.request_join(cluster.admin, name="fresh", address=address, port=22, user="root")


def make_images(master: LabNode) -> None:
    """Files on the master that must not become bases."""
    script = f"""
    cd {IMAGES}
    echo 'not an image' > text.qcow2
    qemu-img create -q -f qcow2 -F qcow2 -b {GUEST} backed.qcow2
    qemu-img create -q -f qcow2 -o data_file=outside.raw,data_file_raw=on data.qcow2 1M
    """
    master.run(["sh", "-c", script])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (f"{IMAGES}/missing.qcow2", "remote.not_of_format"),
        (f"{IMAGES}/text.qcow2", "remote.not_of_format"),
        (f"{IMAGES}/backed.qcow2", "remote.backing_file"),
        (f"{IMAGES}/data.qcow2", "remote.data_file"),
        ("/etc/shadow", "remote.not_of_format"),
    ],
)
def test_what_is_no_image_or_names_other_files_is_refused(cluster: Cluster, path: str, kind: str) -> None:
    make_images(cluster.lab.master)
    before = count(Base)
    begun = base_actions.request_import(
        cluster.admin, name="bad", description="", source="file", paths=path, memory_mib=128, vcpus=1
    )
    failed = ended(begun.id)
    assert failed.state == OperationState.FAILED
    said = failed.error.figures["items"] if failed.error.kind == SENTENCES else [failed.error]
    assert (failed.result["field"], said[0].kind) == ("paths", kind)
    assert count(Base) == before


def test_a_domain_of_the_master_becomes_a_base_with_all_its_disks(cluster: Cluster) -> None:
    master = cluster.lab.master
    disks = "".join(
        f"<disk type='file' device='disk'><driver name='qemu' type='{kind}'/>"
        f"<source file='{IMAGES}/{file}'/><target dev='{target}' bus='virtio'/></disk>"
        for kind, file, target in (
            ("qcow2", "two-a.qcow2", "vda"),
            ("raw", "two-b.raw", "vdb"),
            ("vmdk", "two-c.vmdk", "vdc"),
        )
    )
    xml = (
        "<domain type='qemu'><name>twodisks</name><memory unit='MiB'>96</memory><vcpu>1</vcpu><os><type>hvm</type></os>"
        f"<devices>{disks}<interface type='network'><source network='default'/></interface></devices></domain>"
    )
    master.run(
        [
            "sh",
            "-c",
            f"cd {IMAGES}; cp {GUEST} two-a.qcow2; truncate -s 3M two-b.raw; qemu-img create -qf vmdk two-c.vmdk 1M",
        ]
    )
    master.run(["virsh", "define", "/dev/stdin"], stdin=xml)
    wait_until(lambda: "twodisks" in importable(), 15, "the check has seen it")
    begun = base_actions.request_import(
        cluster.admin, name="two disks", description="", source="domain", domain="twodisks"
    )
    base_id = ended(begun.id).result["base_id"]
    assert not ended(base_actions.prepare(cluster.admin, cluster.base(base_id)).id).error
    version = cluster.base(base_id).current
    assert version is not None and [disk.target for disk in version.disks] == ["vda", "vdb", "vdc"]
    (clone,) = cluster.create("both", 1, base="two disks")
    assert clone.node.name == "rvt1", "a new base is allowed on the node that made it alone"
    listed = master.virsh("domblklist", clone.name)
    assert all(clone.disk_file(target) in listed for target in ("vda", "vdb", "vdc"))
    cluster.remove_made()
    ended(base_actions.remove(cluster.admin, cluster.base(base_id)).id)
    master.virsh("undefine", "twodisks")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "linux"}, "name"),
        ({"paths": ""}, "paths"),
        ({"paths": "relative.qcow2"}, "paths"),
        ({"paths": "/a/../b"}, "paths"),
        ({"memory_mib": 0}, "memory_mib"),
        ({"vcpus": 0}, "vcpus"),
    ],
)
def test_a_wrong_import_names_its_field(cluster: Cluster, changes: dict[str, str | int], field: str) -> None:
    values = {"name": "new", "description": "", "source": "file", "paths": GUEST, "memory_mib": 128, "vcpus": 1}
    with pytest.raises(InvalidInput) as wrong:
        base_actions.request_import(cluster.admin, **(values | changes))  # type: ignore[arg-type]
    assert list(wrong.value.fields) == [field]
