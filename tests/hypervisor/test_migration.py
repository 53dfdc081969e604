"""What a running domain is taken to another node with: its own files by their paths there, nothing that libvirt chose
for it here."""

import xml.etree.ElementTree as ET
from pathlib import Path

import libvirt
import pytest

from ravada_web.hypervisor import migration
from ravada_web.hypervisor.domain_xml import offer_display, read_disks
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
    root = parse(migration.for_target(LIVE, FILES, "/usr/bin/there", ""))
    assert [source.attrib for source in root.iter("source")] == [{"file": "/b/desk.qcow2"}]
    assert root.findtext("./devices/emulator") == "/usr/bin/there"
    assert root.find("./devices/disk/backingStore") is None
    assert [each.attrib for each in root.iter("listen")] == [{"type": "socket"}]
    assert root.findtext("uuid") == UUID


def test_only_its_own_disks_travel() -> None:
    assert migration.own_targets(read_disks(LIVE), FILES) == ["vda"]


def with_devices(more: str) -> str:
    return LIVE.replace("</devices>", f"{more}</devices>")


def test_its_uefi_variables_are_those_at_the_target() -> None:
    system = "<os><loader type='pflash'>/code.fd</loader><nvram>/a/desk.fd</nvram>"
    root = parse(migration.for_target(LIVE.replace("<os>", system), {"/a/desk.fd": "/b/desk.fd"}, "/usr/bin/there", ""))
    assert (root.findtext("./os/nvram"), root.findtext("./os/loader")) == ("/b/desk.fd", "/code.fd")


def spice_of(root: ET.Element) -> tuple[list[str], list[str]]:
    """The addresses of its SPICE displays, and what its channels are connected to."""
    displays = root.findall("./devices/graphics[@type='spice']")
    for graphics in displays:
        assert graphics.get("passwdValidTo", "").startswith("1970") and len(graphics.get("passwd", "")) > 30
        assert "port" not in graphics.attrib
    channels = [each.get("type", "") for each in root.findall("./devices/channel")]
    return [listen.get("address", "") for each in displays for listen in each], channels


def test_its_display_for_viewers_is_the_targets_and_open_to_nobody() -> None:
    """Where the target offers none, its channel is there all the same, and its display is again at the next target."""
    offered = offer_display(LIVE, "10.0.0.1")
    assert offered is not None
    moved = offered.replace("autoport='yes'", "autoport='yes' port='5901'")
    there = migration.for_target(moved, FILES, "/usr/bin/there", "10.0.0.2")
    assert spice_of(parse(there)) == (["10.0.0.2"], ["spicevmc"])
    without = migration.for_target(there, FILES, "/usr/bin/there", "")
    assert spice_of(parse(without)) == ([], ["null"])
    again = migration.for_target(without, FILES, "/usr/bin/there", "10.0.0.1")
    assert spice_of(parse(again)) == (["10.0.0.1"], ["spicevmc"])


def test_one_without_a_display_for_viewers_gets_none_on_its_way() -> None:
    plain = parse(migration.for_target(with_devices(CLIPBOARD), FILES, "/usr/bin/there", "10.0.0.2"))
    assert spice_of(plain) == ([], ["qemu-vdagent"])


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
