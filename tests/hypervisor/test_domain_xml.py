"""Domain XML: templates without identity, and clones fitted to their node; hostile text stays text."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from ravada_web.hypervisor.domain_xml import (
    CloneIdentity,
    Hardware,
    for_clone,
    new_template,
    parse,
    read_disks,
    read_hardware,
)
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.facts import NodeFacts, PoolFacts
from ravada_web.hypervisor.hardware.analysis import analyse

FACTS = NodeFacts(
    host_uuid="11111111-2222-3333-4444-555555555555",
    hostname="n1",
    libvirt_version="9.0.0",
    qemu_version="7.2.22",
    cpus=4,
    memory_mib=8192,
    arch="x86_64",
    virt_type="qemu",
    emulator="/usr/bin/qemu-system-x86_64",
    machines=("pc", "pc-i440fx-7.2", "pc-q35-7.2", "q35"),
    firmwares=("bios", "efi"),
    networks=("default",),
    pools=(PoolFacts("default", "/pool", True, 100, 50),),
)
MINE = CloneIdentity("desk-1", "aaaaaaaa-0000-0000-0000-000000000001", ["52:54:00:00:00:01"], {"vda": "/pool/d.qcow2"})
EXISTING = """<domain type='kvm' id='7'>
  <name>original</name><uuid>deadbeef-0000-0000-0000-000000000000</uuid><metadata><secret/></metadata>
  <memory unit='GiB'>2</memory><currentMemory unit='GiB'>1</currentMemory><vcpu>4</vcpu>
  <resource><partition>/machine</partition></resource>
  <os firmware='efi'><type arch='x86_64' machine='pc-q35-99.0'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/x.fd</loader><nvram>/var/lib/libvirt/nvram/o.fd</nvram></os>
  <cpu mode='host-passthrough'/>
  <devices><emulator>/usr/libexec/qemu-kvm</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/secret/a.qcow2' index='1'/>
      <backingStore type='file'><source file='/secret/b'/></backingStore><target dev='vda' bus='virtio'/>
      <alias name='virtio-disk0'/></disk>
    <disk type='file' device='cdrom'><source file='/iso/x.iso'/><target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='network'><mac address='52:54:00:aa:bb:cc'/><source network='default'/>
      <target dev='vnet3'/></interface>
    <graphics type='spice' port='5901' listen='0.0.0.0' passwd='hunter2'/>
    <graphics type='vnc' port='5900' listen='0.0.0.0' passwd='hunter2'/>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <redirdev bus='usb' type='spicevmc'/>
  </devices><seclabel type='dynamic'/></domain>"""


def fitted(template: str, facts: NodeFacts = FACTS, mine: CloneIdentity = MINE) -> ET.Element:
    return parse(for_clone(template, mine, facts))


def test_a_template_has_nothing_left_of_the_one_it_was_made_of() -> None:
    template = analyse(EXISTING).template
    for trace in ("deadbeef", "52:54:00:aa", "/secret", "vnet3", "virtio-disk0", "/machine", "<secret"):
        assert trace not in template
    assert read_hardware(template) == Hardware(2048, 4, 1)


def test_no_password_and_no_network_listener_survive_in_a_clone() -> None:
    root = fitted(analyse(EXISTING).template)
    (display,) = root.findall("./devices/graphics")
    assert display.get("type") == "vnc" and set(display.attrib) == {"type"}
    assert [listen.attrib for listen in display] == [{"type": "socket"}]
    assert "hunter2" not in ET.tostring(root, encoding="unicode")
    assert not [e for e in root.iter() if e.get("type") == "spicevmc"]


def test_a_clone_is_itself_and_nobody_else() -> None:
    root = fitted(analyse(EXISTING).template)
    assert (root.findtext("name"), root.findtext("uuid")) == (MINE.name, MINE.uuid)
    assert [card.get("address") for card in root.findall("./devices/interface/mac")] == MINE.macs
    assert root.findtext("./sysinfo/system/entry[@name='serial']") == "desk-1"
    disks = read_disks(ET.tostring(root, encoding="unicode"))
    assert [(disk.target, disk.source, disk.format) for disk in disks if disk.device == "disk"] == [
        ("vda", "/pool/d.qcow2", "qcow2")
    ]
    assert [disk.source for disk in disks if disk.device == "cdrom"] == [""], "media are ejected"


def test_emulation_takes_the_hosts_own_processor_away_and_kvm_keeps_it() -> None:
    emulated = fitted(analyse(EXISTING).template)
    assert emulated.get("type") == "qemu" and emulated.find("cpu") is None
    accelerated = fitted(analyse(EXISTING).template, replace(FACTS, virt_type="kvm"))
    assert accelerated.get("type") == "kvm" and accelerated.find("cpu") is not None


@pytest.mark.parametrize(
    ("machine", "expected"),
    [("pc-q35-7.2", "pc-q35-7.2"), ("pc-q35-99.0", "q35"), ("pc-i440fx-1.0", "pc"), ("pc-i440fx-7.2", "pc-i440fx-7.2")],
)
def test_the_machine_type_is_kept_where_it_is_offered_else_its_familys_newest(machine: str, expected: str) -> None:
    kind = fitted(EXISTING.replace("pc-q35-99.0", machine)).find("./os/type")
    assert kind is not None and kind.get("machine") == expected


def test_the_nodes_own_emulator_is_used() -> None:
    assert fitted(analyse(EXISTING).template).findtext("./devices/emulator") == FACTS.emulator


def test_uefi_is_asked_for_without_the_other_hosts_paths() -> None:
    system = fitted(analyse(EXISTING).template).find("os")
    assert system is not None and system.get("firmware") == "efi"
    assert system.find("loader") is None and system.find("nvram") is None


def test_a_node_without_uefi_refuses_a_base_that_needs_it_and_says_what_to_install() -> None:
    with pytest.raises(HypervisorError, match="ovmf"):
        fitted(analyse(EXISTING).template, replace(FACTS, firmwares=("bios",)))


def test_a_node_without_the_network_refuses_and_says_how_to_start_it() -> None:
    with pytest.raises(HypervisorError, match="virsh net-start default"):
        fitted(analyse(EXISTING).template, replace(FACTS, networks=()))


@pytest.mark.parametrize("text", ["a<b>&\"'", "]]><x/>", "\u202egnp.exe", "&lt;"])
def test_hostile_names_and_paths_stay_text(text: str) -> None:
    mine = replace(MINE, name=text, disks={"vda": f"/pool/{text}"})
    root = fitted(new_template("t", 128, 1, ["vda"]), mine=mine)
    assert root.findtext("name") == text
    source = root.find("./devices/disk/source")
    assert source is not None and source.get("file") == f"/pool/{text}"


@pytest.mark.parametrize("xml", ["", "<domain>", "<network/>", "<!DOCTYPE d [<!ENTITY a 'b'>]><domain>&a;</domain>"])
def test_what_is_no_domain_is_refused(xml: str) -> None:
    with pytest.raises(HypervisorError):
        parse(xml)


def test_a_bare_template_has_its_disks_a_card_and_the_memory_asked_for() -> None:
    template = new_template("t", 192, 2, ["vda", "vdb"])
    assert read_hardware(template) == Hardware(192, 2, 1)
    assert [disk.target for disk in read_disks(template)] == ["vda", "vdb"]


@pytest.mark.parametrize(("unit", "amount", "mib"), [("KiB", 1048576, 1024), ("MiB", 512, 512), ("G", 1, 1024)])
def test_memory_is_read_in_every_unit(unit: str, amount: int, mib: int) -> None:
    xml = f"<domain><memory unit='{unit}'>{amount}</memory><devices/></domain>"
    assert read_hardware(xml).memory_mib == mib


def test_facts_survive_json() -> None:
    assert NodeFacts.from_dict(FACTS.to_dict()) == FACTS
