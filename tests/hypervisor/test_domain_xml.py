"""Domain XML: templates without identity, and clones fitted to their node; hostile text stays text."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from ravada_web.hypervisor.domain_xml import (
    CloneIdentity,
    Hardware,
    Nvram,
    bare_machine,
    for_clone,
    for_other_node,
    leaves_firmware_open,
    new_template,
    parse,
    read_disks,
    read_hardware,
    read_nvram,
    with_firmware,
)
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.facts import NodeFacts, PoolFacts
from ravada_web.hypervisor.hardware.analysis import analyse
from ravada_web.hypervisor.platform import chosen, host_of, read_platform
from ravada_web.platforms import OF_HOST, Host, Platform

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

BIOS = new_template("t", 128, 1, ["vda"])


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


NVRAM = "/pool/desk-1.nvram.fd"
SECURED = """<domain type='qemu'><name>s</name><os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>
  <firmware><feature enabled='yes' name='enrolled-keys'/><feature enabled='yes' name='secure-boot'/></firmware>
  <loader readonly='yes' secure='yes' type='pflash' format='raw'>/usr/share/OVMF/OVMF_CODE_4M.ms.fd</loader>
  <nvram template='/usr/share/OVMF/OVMF_VARS_4M.ms.fd' format='raw'>/var/lib/libvirt/qemu/nvram/s_VARS.fd</nvram></os>
  <features><acpi/><smm state='on'/></features><devices/></domain>"""
OPEN = """<domain type='qemu'><name>o</name><os firmware='efi'><type machine='q35'>hvm</type>
  <firmware><feature enabled='no' name='secure-boot'/></firmware></os><devices/></domain>"""
BARE = replace(MINE, macs=[], disks={})


def os_of(template: str, mine: CloneIdentity) -> ET.Element:
    system = fitted(analyse(template).template, mine=mine).find("os")
    assert system is not None
    return system


@pytest.mark.parametrize("xml", [EXISTING, SECURED])
def test_a_clones_nvram_is_its_own_and_the_template_has_nobodys(xml: str) -> None:
    assert read_nvram(xml) is not None and read_nvram(analyse(xml).template) is None
    mine = replace(MINE if xml is EXISTING else BARE, nvram=NVRAM)
    assert os_of(xml, mine).findtext("nvram") == NVRAM
    assert NVRAM in ET.tostring(fitted(analyse(xml).template, mine=mine), encoding="unicode")


def test_the_firmware_that_the_base_had_stays_so_secure_boot_stays_on_or_off() -> None:
    system = os_of(SECURED, replace(BARE, nvram=NVRAM))
    loader, nvram = system.find("loader"), system.find("nvram")
    assert loader is not None and nvram is not None
    assert (loader.text, loader.get("secure")) == ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "yes")
    assert nvram.get("template") == "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
    assert (system.get("firmware"), system.find("firmware")) == (None, None), "libvirt has nothing left to choose"
    plain = os_of(EXISTING, replace(MINE, nvram=NVRAM)).find("loader")
    assert plain is not None and (plain.text, plain.get("secure")) == ("/usr/share/OVMF/x.fd", None)


def test_a_base_that_has_never_run_lets_libvirt_choose_by_the_same_wishes() -> None:
    system = os_of(OPEN, BARE)
    assert (system.get("firmware"), system.find("nvram"), system.find("loader")) == ("efi", None, None)
    wish = system.find("firmware/feature")
    assert wish is not None and wish.attrib == {"enabled": "no", "name": "secure-boot"}


@pytest.mark.parametrize(("xml", "open_"), [(EXISTING, False), (SECURED, False), (OPEN, True), (BIOS, False)])
def test_a_domain_that_leaves_its_firmware_to_libvirt_is_known(xml: str, open_: bool) -> None:
    assert leaves_firmware_open(xml) is open_


def test_a_firmware_that_libvirt_has_chosen_is_named_in_the_domain() -> None:
    xml = with_firmware(OPEN, "/code.fd", "/vars.fd", secure=True)
    root = parse(xml)
    assert read_nvram(xml) == Nvram("/vars.fd", "raw")
    assert root.find("./os/loader[@secure='yes']") is not None and root.find("./features/smm[@state='on']") is not None
    assert parse(with_firmware(OPEN, "/code.fd", "/vars.fd", secure=False)).find("./features/smm") is None


def test_a_firmware_is_chosen_by_the_machine_whatever_its_devices_are() -> None:
    bare = parse(bare_machine(EXISTING.replace("<devices>", "<devices><hostdev mode='subsystem' type='pci'/>")))
    assert sorted(element.tag for element in bare) == ["devices", "memory", "name", "os", "vcpu"]
    assert len(bare.find("devices") or ()) == 0 and bare.find("os/loader") is not None


def test_an_nvram_is_read_in_every_spelling() -> None:
    newer = "<domain><os><nvram type='file' format='qcow2'><source file='/n.qcow2'/></nvram></os><devices/></domain>"
    assert read_nvram(newer) == Nvram("/n.qcow2", "qcow2")
    assert read_nvram(analyse(newer).template) is None
    assert read_nvram("<domain><os><nvram template='/t.fd'/></os><devices/></domain>") is None


def test_an_emulated_tpm_begins_empty_in_every_clone() -> None:
    tpm = (
        "<tpm model='tpm-crb'><backend type='emulator' version='2.0' persistent_state='yes'>"
        "<encryption secret='abc'/><source type='dir' path='/secret/tpm'/></backend></tpm></devices>"
    )
    template = analyse(OPEN.replace("<devices/>", f"<devices>{tpm}")).template
    backend = fitted(template, mine=BARE).find("./devices/tpm/backend")
    assert backend is not None and (backend.attrib, len(backend)) == ({"type": "emulator", "version": "2.0"}, 0)


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


GROUP = Platform("pc-q35-7.2", "Westmere")
GIVING = replace(FACTS, offers={"cpu_model": ["Nehalem", "Westmere"]})
CHOSEN = "<cpu mode='custom' match='exact'><model>Nehalem</model></cpu>"
UNCHECKED = "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>"
OF_ITS_HOST = "<cpu mode='host-passthrough'><topology sockets='1' cores='2' threads='1'/></cpu>"
NESTED = "<cpu mode='host-model'><feature policy='require' name='vmx'/></cpu>"


def platform_of(template: str, facts: NodeFacts, platform: Platform = GROUP) -> tuple[str, Platform]:
    return read_platform(for_clone(template, MINE, facts, platform))


@pytest.mark.parametrize(
    ("cpu", "virt_type", "expected"),
    [
        ("", "qemu", "Westmere"),
        ("", "kvm", "Westmere"),
        (UNCHECKED, "kvm", "Westmere"),
        ("<cpu mode='host-model'/>", "kvm", "Westmere"),
        (OF_ITS_HOST, "qemu", "Westmere"),
        # What somebody chose stays, wherever it can be given.
        (CHOSEN, "qemu", "Nehalem"),
        (CHOSEN, "kvm", "Nehalem"),
        (OF_ITS_HOST, "kvm", OF_HOST),
        (NESTED, "kvm", OF_HOST),
    ],
)
def test_a_clone_has_its_groups_processor_unless_its_base_chose_one(cpu: str, virt_type: str, expected: str) -> None:
    template = analyse(BIOS.replace("<devices>", f"{cpu}<devices>")).template
    assert platform_of(template, replace(GIVING, virt_type=virt_type)) == (
        virt_type,
        Platform("pc-q35-7.2", expected),
    )


def test_the_shape_of_a_processor_stays_beside_the_groups_model() -> None:
    template = analyse(BIOS.replace("<devices>", f"{OF_ITS_HOST}<devices>")).template
    cpu = parse(for_clone(template, MINE, GIVING, GROUP)).find("cpu")
    assert cpu is not None and [part.tag for part in cpu] == ["model", "topology"]
    assert cpu.attrib == {"mode": "custom", "match": "exact", "check": "partial"}


def test_a_group_gives_nothing_that_the_node_does_not_offer() -> None:
    assert platform_of(BIOS, FACTS) == ("qemu", Platform("pc-q35-7.2"))
    assert platform_of(BIOS, FACTS, Platform("pc-q35-10.0", "Haswell")) == ("qemu", Platform("q35"))


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ("", ""),
        (CHOSEN, "Nehalem"),
        (UNCHECKED, ""),
        (OF_ITS_HOST, OF_HOST),
        (NESTED, OF_HOST),
        ("<cpu mode='host-model'/>", ""),
    ],
)
def test_what_a_base_chose_is_told_from_what_libvirt_fills_in(cpu: str, expected: str) -> None:
    assert chosen(BIOS.replace("<devices>", f"{cpu}<devices>")) == Platform("q35", expected)


@pytest.mark.parametrize(
    ("cpu", "has", "virt_type", "expected"),
    [
        # What the other node offers stays, though clones made there get something newer.
        (CHOSEN, "pc-i440fx-7.2", "qemu", Platform("pc-i440fx-7.2", "Nehalem")),
        (UNCHECKED, "pc-q35-7.2", "qemu", Platform("pc-q35-7.2", "qemu64")),
        ("", "pc-q35-7.2", "qemu", Platform("pc-q35-7.2")),
        (OF_ITS_HOST, "pc-q35-7.2", "kvm", Platform("pc-q35-7.2", OF_HOST)),
        # What it does not is replaced by what they get.
        (CHOSEN.replace("Nehalem", "Haswell"), "pc-q35-10.0", "qemu", GROUP),
        (OF_ITS_HOST, "pc-q35-10.0", "qemu", GROUP),
    ],
)
def test_a_clone_that_comes_from_another_node_keeps_what_is_offered_here(
    cpu: str, has: str, virt_type: str, expected: Platform
) -> None:
    xml = BIOS.replace("<devices>", f"{cpu}<devices>").replace('"q35"', f'"{has}"')
    moved = for_other_node(xml, {}, replace(GIVING, virt_type=virt_type), GROUP)
    assert read_platform(moved) == (virt_type, expected)


def test_what_a_host_offers_is_read_of_its_facts_and_kept_as_it_is() -> None:
    host = host_of(replace(GIVING, machines=("pc-q35-7.2", "q35", "pc-q35-" + "9" * 99)))
    assert host == Host("x86_64", "qemu", frozenset({"pc-q35-7.2"}), frozenset({"Nehalem", "Westmere"}))
    assert Host.from_dict(host.to_dict()) == host
    assert host.digest == replace(host).digest != replace(host, virt_type="kvm").digest
