"""What a base needs of a node, on real nodes: none that lacks it is placed on, and each place says why."""

import re
from collections.abc import Iterator

import pytest

from ravada_web.extensions import db
from ravada_web.models import CloneState
from ravada_web.services.bases import listing as base_list
from ravada_web.services.joining import inspection
from ravada_web.services.joining.checks.findings import findings_of
from tests.lab import LabNode
from tests.support.cluster import GUEST, IMAGES, Cluster, ended, import_domain, remove_imported
from tests.support.servers import wait_until

BRIDGED = """<domain type='qemu'><name>fi-bridge</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{images}/bridged.qcow2'/>
    <target dev='vda' bus='virtio'/></disk>
    <interface type='bridge'><source bridge='br-lan'/><model type='virtio'/></interface>{more}</devices></domain>"""
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
ADD_BRIDGE = "ip link add br-lan type bridge; ip link set br-lan up"


def offers(cluster: Cluster, name: str, kind: str) -> list[str]:
    found: list[str] = cluster.node(name).facts.get("offers", {}).get(kind, [])
    return found


def lacking_on_the_tab(cluster: Cluster, base_id: int) -> dict[str, list[str]]:
    """What the Base tab says of each node."""
    rows = base_list.tab(cluster.admin, cluster.base(base_id))
    return {row.node.name: [str(what) for what, _how in row.lacks] for row in rows}


def look(cluster: Cluster, node: LabNode) -> None:
    """Have a node looked at now, as “Check again” does."""
    ended(inspection.request_inspection(cluster.admin, cluster.node(node.name)).id)
    db.session.rollback()


@pytest.fixture
def bridged(cluster: Cluster) -> Iterator[int]:
    """A base whose original is attached to a bridge that the master alone has, and has a TPM."""
    master = cluster.lab.master
    master.run(
        ["sh", "-c", f"ip link add br-lan type bridge; ip link set br-lan up; cp {GUEST} {IMAGES}/bridged.qcow2"]
    )
    base_id = import_domain(cluster, "fi-bridge", BRIDGED.format(images=IMAGES, more=TPM))
    yield base_id
    cluster.remove_made()
    remove_imported(cluster, base_id, "fi-bridge")
    for node in cluster.lab.nodes:
        node.run(["ip", "link", "del", "br-lan"], check=False)
        node.run(["umount", "/usr/bin/swtpm"], check=False)
        look(cluster, node)


def test_a_base_goes_only_where_its_bridge_and_a_tpm_are_and_says_so(cluster: Cluster, bridged: int) -> None:
    _, second, third = cluster.lab.nodes
    third.run(["mount", "--bind", "/dev/null", "/usr/bin/swtpm"])
    for node in cluster.lab.nodes:
        look(cluster, node)
    assert {"kind": "bridge", "value": "br-lan"} in (cluster.base(bridged).needs or [])
    assert lacking_on_the_tab(cluster, bridged) == {
        "rvt1": [],
        "rvt2": ["the bridge br-lan"],
        "rvt3": ["the bridge br-lan", "an emulated TPM 2.0"],
    }
    clones = cluster.create("lan", 3, "--start", base="fi-bridge")
    assert cluster.spread("lan") == {"rvt1": 3, "rvt2": 0, "rvt3": 0}
    cluster.wait_state("lan", CloneState.RUNNING)
    said = cluster.flask("clones", "why", clones[0].name).stdout
    assert re.search(r"rvt2.*needs the bridge br-lan", said)
    lines = {finding.code: finding for finding in findings_of(cluster.node("rvt3"))}
    assert str(lines["need:bridge:br-lan"].text).startswith("It cannot run fi-bridge: needs the bridge br-lan.")
    assert "swtpm" in lines["need:tpm:2.0"].remedy
    cluster.remove_made()

    second.run(["sh", "-c", "ip link add br-lan type bridge; ip link set br-lan up"])
    cluster.let_facts_age("rvt2")
    wait_until(lambda: "br-lan" in offers(cluster, "rvt2", "bridge"), 30, "a regular look has seen the bridge")
    cluster.create("lan2", 4, base="fi-bridge")
    assert cluster.spread("lan2") == {"rvt1": 2, "rvt2": 2, "rvt3": 0}
