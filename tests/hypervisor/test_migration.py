"""What a running domain is taken to another node with: its own files by their paths there, nothing that libvirt chose
for it here; and what keeps it."""

from pathlib import Path

import libvirt
import pytest

from ravada_web.hypervisor import migration
from ravada_web.hypervisor.domain_xml import read_disks
from ravada_web.hypervisor.migration import Presence
from ravada_web.hypervisor.tree import parse

LIVE = """<domain type='kvm' id='3'><name>desk-1</name><uuid>6e9a6ff8-2fdb-4ee1-a0ae-7c0d1e3b2f11</uuid>
<memory>65536</memory><os><type machine='pc-q35-7.2'>hvm</type></os><devices><emulator>/usr/bin/here</emulator>
<disk type='file' device='disk'><source file='/a/desk.qcow2' index='1'/>
<backingStore type='file'><format type='qcow2'/><source file='/a/base.qcow2'/><backingStore/></backingStore>
<target dev='vda' bus='virtio'/></disk>
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
<graphics type='vnc' socket='/run/3/vnc.sock'><listen type='socket' socket='/run/3/vnc.sock'/></graphics>
</devices></domain>"""
CLIPBOARD = "<channel type='qemu-vdagent'><target type='virtio' name='com.redhat.spice.0'/></channel>"
UUID = "6e9a6ff8-2fdb-4ee1-a0ae-7c0d1e3b2f11"
FILES = {"/a/desk.qcow2": "/b/desk.qcow2"}


def test_its_files_are_those_of_the_target_and_what_was_chosen_here_is_chosen_there() -> None:
    root = parse(migration.for_target(LIVE, FILES, "/usr/bin/there"))
    assert [source.attrib for source in root.iter("source")] == [{"file": "/b/desk.qcow2"}]
    assert root.findtext("./devices/emulator") == "/usr/bin/there"
    assert root.find("./devices/disk/backingStore") is None
    assert [each.attrib for each in root.iter("listen")] == [{"type": "socket"}]
    assert root.findtext("uuid") == UUID


def test_only_its_own_disks_travel() -> None:
    assert migration.own_targets(read_disks(LIVE), FILES) == ["vda"]


def with_devices(more: str) -> str:
    return LIVE.replace("</devices>", f"{more}</devices>")


@pytest.mark.parametrize(
    ("xml", "kind"),
    [
        (LIVE.replace("<os>", "<os firmware='efi'>"), "moves.has_firmware"),
        (with_devices("<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"), "moves.has_tpm"),
        (with_devices("<graphics type='spice' port='5900'/>"), "moves.has_viewers"),
        (LIVE, None),
        (with_devices(CLIPBOARD), None),
    ],
    ids=["UEFI", "TPM", "SPICE", "plain", "clipboard"],
)
def test_what_keeps_it_where_it_is(xml: str, kind: str | None) -> None:
    why = migration.keeps_it(xml)
    assert (why.kind if why else None) == kind


@pytest.fixture
def host(tmp_path: Path) -> libvirt.virConnect:
    (tmp_path / "host.xml").write_text("<node><network><name>default</name></network></node>")
    return libvirt.open(f"test://{tmp_path}/host.xml")


def test_one_that_waits_for_its_guest_is_told_from_one_that_is_paused(host: libvirt.virConnect) -> None:
    xml = (
        f"<domain type='test'><name>d</name><uuid>{UUID}</uuid><memory>1024</memory><os><type>hvm</type></os></domain>"
    )
    assert migration.presence(host, UUID) == Presence.NONE
    coming = host.createXML(xml)
    assert migration.presence(host, UUID) == Presence.RUNNING
    coming.suspend()
    assert migration.presence(host, UUID) == Presence.INCOMING
    host.defineXML(xml)
    assert migration.presence(host, UUID) == Presence.PAUSED
    migration.resume(host, UUID)
    assert migration.presence(host, UUID) == Presence.RUNNING
    coming.destroy()
    assert migration.presence(host, UUID) == Presence.OFF
