"""UEFI bases on real nodes: the firmware of each clone starts what the base's did, wherever the clone is."""

import re
import shutil
from collections.abc import Iterator

import pytest

from ravada_web.models import CloneState, OperationState
from ravada_web.services.bases import listing as base_list
from ravada_web.services.moves import requests
from tests.lab import LabNode
from tests.support.cluster import IMAGES, Cluster, ended, import_domain, remove_imported
from tests.support.servers import wait_until
from tests.support.uefi import make_uefi

DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash' secure='{secure}'>/usr/share/OVMF/{code}</loader>
    <nvram>{images}/{name}_VARS.fd</nvram></os>
  <features><acpi/><smm state='{smm}'/></features>
  <devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{images}/{name}.qcow2'/>
    <target dev='vda' bus='virtio'/></disk>
    <serial type='pty'/><tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm></devices></domain>"""
CHOSEN = """<domain type='qemu'><name>fi-chosen</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
  <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
  <devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
    <source file='{images}/fi-chosen.qcow2'/><target dev='vda' bus='virtio'/></disk></devices></domain>"""
PLAIN = {"code": "OVMF_CODE_4M.fd", "secure": "no", "smm": "off"}
SECURED = {"code": "OVMF_CODE_4M.ms.fd", "secure": "yes", "smm": "on"}


def uefi_base(cluster: Cluster, name: str, variables: str, firmware: dict[str, str]) -> int:
    """A UEFI domain of the master as a base that all nodes may run."""
    master = cluster.lab.master
    folder = master.folder / "root" / name
    for file in make_uefi(folder, name, variables):
        master.put(file, f"{IMAGES}/{file.name}")
    shutil.rmtree(folder)
    return import_domain(cluster, name, DOMAIN.format(name=name, images=IMAGES, **firmware))


@pytest.fixture(scope="module")
def uefi(whole_cluster: Cluster) -> Iterator[int]:
    base_id = uefi_base(whole_cluster, "fi-uefi", "OVMF_VARS_4M.fd", PLAIN)
    yield base_id
    whole_cluster.remove_made()
    remove_imported(whole_cluster, base_id, "fi-uefi")


def said_on_the_serial_port(node: LabNode, domain: str, until: str, seconds: float = 40) -> str:
    """What a domain that has just started writes on its serial port, up to these words."""
    port = node.virsh("ttyconsole", domain).strip()
    reading = f"timeout {seconds} sed -u '/{until}/q' {port} | tr -cd '[:print:]\\n\\033'"
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", node.run(["sh", "-c", reading]).stdout)


def lab_node(cluster: Cluster, name: str) -> LabNode:
    return next(node for node in cluster.lab.nodes if node.name == name)


def test_a_uefi_clone_boots_on_another_node_as_its_base_did(cluster: Cluster, uefi: int) -> None:
    clones = cluster.create("efi", 3, base="fi-uefi")
    assert cluster.spread("efi") == {"rvt1": 1, "rvt2": 1, "rvt3": 1}
    clone = next(clone for clone in clones if clone.node.name == "rvt3")
    node = lab_node(cluster, "rvt3")
    cluster.flask("clones", "start", clone.name, "--wait")
    said = said_on_the_serial_port(node, clone.name, "BdsDxe: starting")
    assert re.search(r"BdsDxe: starting Boot0000 .* from \\EFI\\debian\\grubx64.efi", said), said
    cluster.flask("clones", "stop", "--force", clone.name, "--wait")


def test_each_clone_has_an_nvram_and_a_tpm_of_its_own_and_both_go_with_it(cluster: Cluster, uefi: int) -> None:
    clones = cluster.create("own", 3, base="fi-uefi")
    for clone in clones:
        node = lab_node(cluster, clone.node.name)
        nvram = f"{IMAGES}/{clone.name}.{clone.uuid[:8]}.nvram.fd"
        assert f"<nvram>{nvram}</nvram>" in node.virsh("dumpxml", clone.name)
        assert "OVMF_CODE_4M.fd<" in node.virsh("dumpxml", clone.name), "the firmware that the base had"
        base_file = f"{IMAGES}/ravada-base-{uefi}-v1-nvram.fd"
        assert node.run(["cmp", base_file, nvram], check=False).returncode == 0
    cluster.flask("clones", "start", *[clone.name for clone in clones], "--wait")
    cluster.wait_state("own", CloneState.RUNNING)
    for clone in clones:
        node = lab_node(cluster, clone.node.name)
        assert clone.uuid in node.run(["ls", "/var/lib/libvirt/swtpm"]).stdout
    uuids = [clone.uuid for clone in clones]
    cluster.remove_made()
    for node in cluster.lab.nodes:
        assert cluster.disks(node, "own-") == []
        assert not set(uuids) & set(node.run(["ls", "/var/lib/libvirt/swtpm"]).stdout.split())


def test_the_variables_and_the_tpm_of_a_clone_move_with_it(cluster: Cluster, uefi: int) -> None:
    (clone,) = cluster.create("fare", 1, "--start", base="fi-uefi")
    cluster.wait_state("fare", CloneState.RUNNING)
    cluster.flask("clones", "stop", "--force", clone.name, "--wait")
    here = lab_node(cluster, clone.node.name)
    there = next(node for node in cluster.lab.nodes if node.name != here.name)
    state = f"/var/lib/libvirt/swtpm/{clone.uuid}/tpm2/tpm2-00.permall"
    nvram = f"{IMAGES}/{clone.name}.{clone.uuid[:8]}.nvram.fd"
    own = ["sh", "-c", f"sha256sum {state} {nvram}"]
    before = here.run(own).stdout
    cluster.flask("clones", "move", clone.name, there.name, "--wait")
    assert there.run(own).stdout == before
    wait_until(lambda: not cluster.disks(here, "fare-"), 60, "what it has left is removed")
    assert clone.uuid not in here.run(["ls", "/var/lib/libvirt/swtpm"]).stdout
    assert not [name for name in cluster.disks(there, "fare-") if name.endswith(".tpm")]
    cluster.flask("clones", "start", clone.name, "--wait")
    (moved,) = cluster.clones("fare")
    assert (moved.state, moved.node.name) == (CloneState.RUNNING, there.name)


def test_the_copy_of_an_nvram_is_verified_on_every_node(cluster: Cluster, uefi: int) -> None:
    version = cluster.base(uefi).current
    assert version is not None
    (nvram,) = [file for file in version.files if file.kind == "nvram"]
    for node in cluster.lab.nodes:
        seen = node.run(["sha256sum", f"{IMAGES}/{nvram.file_name}"]).stdout.split()[0]
        assert seen == nvram.sha256
    assert all(row.replica is not None for row in base_list.tab(cluster.admin, cluster.base(uefi)))


def test_the_firmware_that_libvirt_chose_for_the_original_is_its_clones_too(cluster: Cluster) -> None:
    """Older libvirts keep no more than that a domain boots by UEFI; its NVRAM is where libvirt made it."""
    master = cluster.lab.master
    master.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{IMAGES}/fi-chosen.qcow2", "8M"])
    master.run(["virsh", "define", "/dev/stdin"], stdin=CHOSEN.format(images=IMAGES))
    master.virsh("start", "fi-chosen")
    running = master.virsh("dumpxml", "fi-chosen")
    master.virsh("destroy", "fi-chosen")
    base_id = import_domain(cluster, "fi-chosen", master.virsh("dumpxml", "--inactive", "fi-chosen"))
    for clone in cluster.create("cho", 3, base="fi-chosen"):
        node = lab_node(cluster, clone.node.name)
        cluster.flask("clones", "start", clone.name, "--wait")
        seen = node.virsh("dumpxml", clone.name)
        assert re.search("<loader.*</loader>", seen)[0] == re.search("<loader.*</loader>", running)[0]  # type: ignore[index]
        assert f"{clone.name}.{clone.uuid[:8]}.nvram.fd</nvram>" in seen
    cluster.remove_made()
    remove_imported(cluster, base_id, "fi-chosen")


def test_secure_boot_that_was_on_stays_on(cluster: Cluster) -> None:
    base_id = uefi_base(cluster, "fi-secure", "OVMF_VARS_4M.ms.fd", SECURED)
    clones = cluster.create("sec", 3, base="fi-secure")
    clone = next(clone for clone in clones if clone.node.name == "rvt2")
    cluster.flask("clones", "start", clone.name, "--wait")
    said = said_on_the_serial_port(lab_node(cluster, "rvt2"), clone.name, "Access Denied")
    assert "grubx64.efi" in said and "Access Denied" in said, said
    nvram = ["sha256sum", f"{IMAGES}/{clone.name}.{clone.uuid[:8]}.nvram.fd"]
    before = lab_node(cluster, "rvt2").run(nvram).stdout
    asked = requests.request_move(cluster.admin, clone.id, cluster.node("rvt3").id, live=True)
    assert ended(asked.id).state == OperationState.DONE
    assert lab_node(cluster, "rvt3").run(nvram).stdout == before
    cluster.remove_made()
    remove_imported(cluster, base_id, "fi-secure")


def test_the_variables_and_the_tpm_of_a_clone_that_runs_move_with_it(cluster: Cluster, uefi: int) -> None:
    (clone,) = cluster.create("roam", 1, base="fi-uefi")
    cluster.flask("clones", "start", clone.name, "--wait")
    first = lab_node(cluster, clone.node.name)
    said_on_the_serial_port(first, clone.name, "BdsDxe: starting")
    state = f"/var/lib/libvirt/swtpm/{clone.uuid}"
    nvram = f"{IMAGES}/{clone.name}.{clone.uuid[:8]}.nvram.fd"
    own = ["sh", "-c", f"sha256sum {state}/tpm2/tpm2-00.permall {nvram}"]
    before = first.run(own).stdout
    base_file = f"{IMAGES}/ravada-base-{uefi}-v1-nvram.fd"
    assert first.run(["cmp", base_file, nvram], check=False).returncode == 1, "the guest has written to its variables"
    there = next(node for node in cluster.lab.nodes if node.name != first.name)

    # What emulates its TPM there dies in the middle: it runs on where it is.
    there.slow(20)
    asked = requests.request_move(cluster.admin, clone.id, cluster.node(there.name).id, live=True)
    dies = ["sh", "-c", f"kill -9 $(cat /run/libvirt/qemu/swtpm/*-{clone.name}-swtpm.pid)"]
    wait_until(lambda: there.run(dies, check=False).returncode == 0, 60, "its TPM is there")
    there.slow(None)
    assert ended(asked.id).state == OperationState.FAILED
    wait_until(lambda: is_all_on(cluster, first, "roam", state), 60, "what came is removed")
    assert first.run(own).stdout == before

    # There and back.
    for node in (there, first):
        cluster.flask("clones", "move", clone.name, node.name, "--live", "--wait")
        wait_until(lambda node=node: is_all_on(cluster, node, "roam", state), 60, "what it has left is removed")
        assert node.run(own).stdout == before


def is_all_on(cluster: Cluster, node: LabNode, prefix: str, state: str) -> bool:
    """Whether the prefix's only clone runs on the node, and its files and its TPM are on no other."""
    (clone,) = cluster.clones(prefix)
    for each in cluster.lab.nodes:
        mine = each.name == node.name
        found = (
            clone.name in each.virsh("list", "--name").split(),
            clone.name in cluster.domains(each),
            len(cluster.disks(each, f"{prefix}-")) == (2 if mine else 0),
            each.run(["test", "-d", state], check=False).returncode == 0,
        )
        if found != (mine, mine, True, mine):
            return False
    return (clone.state, clone.node.name) == (CloneState.RUNNING, node.name)
