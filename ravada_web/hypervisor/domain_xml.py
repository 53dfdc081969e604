"""Domain XML, built and edited as a tree: a base's template, and each clone's domain fitted to its node."""

import re
import secrets
import xml.etree.ElementTree as ET
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ravada_web.hypervisor.errors import HypervisorError, reading
from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.hypervisor.hardware import analysis
from ravada_web.hypervisor.platform import fit_platform, refit_platform
from ravada_web.hypervisor.tree import drop, parse, put
from ravada_web.messages import Message, message
from ravada_web.messages.foreign import is_path, printable, whole, word
from ravada_web.platforms import ANY, Platform

# libvirt's units, whatever their case: of a thousand where they end in a B alone, else of 1024.
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
# More than any guest has: memory of 1 PiB.
MOST_MEMORY_MIB, MOST_VCPUS = 1 << 30, 1 << 16
# Where a disk is in its guest ("vda").
_TARGET = re.compile(r"[A-Za-z0-9]{1,32}")


@dataclass(frozen=True)
class Disk:
    """A disk of a domain; `source` is a file's path, "" where it has none or is no file."""

    target: str
    source: str
    format: str
    device: str


@dataclass(frozen=True)
class Nvram:
    """The file of a UEFI firmware's variables; its `format` is "raw", or "qcow2" where the domain says so."""

    path: str
    format: str


@dataclass(frozen=True)
class Hardware:
    """What a domain takes: memory in MiB, virtual processors, network cards."""

    memory_mib: int
    vcpus: int
    nics: int


@dataclass(frozen=True)
class CloneIdentity:
    """What makes a clone itself: name, UUID, a MAC address for each card, a file for each disk's target, and the file
    of its firmware's variables ("" where its base has none)."""

    name: str
    uuid: str
    macs: Sequence[str]
    disks: Mapping[str, str]
    nvram: str = ""


def read_disks(xml: str) -> tuple[Disk, ...]:
    """The disks of a domain, in its order."""
    return tuple(_disk(element) for element in parse(xml).findall("./devices/disk"))


def _disk(element: ET.Element) -> Disk:
    target, source, driver = element.find("target"), element.find("source"), element.find("driver")
    return Disk(
        target=_matching(_TARGET, target.get("dev", "")) if target is not None else "",
        source=_path(source.get("file", "")) if source is not None else "",
        format=word(driver.get("type"), otherwise="raw") if driver is not None else "raw",
        device=element.get("device", "disk"),
    )


def _matching(pattern: re.Pattern[str], said: str) -> str:
    return said if pattern.fullmatch(said) else ""


def _path(said: str) -> str:
    return said if is_path(said) else ""


def read_nvram(xml: str) -> Nvram | None:
    """The file of the domain's UEFI variables; None for one without UEFI, or whose variables are in no file yet."""
    nvram = parse(xml).find("./os/nvram")
    if nvram is None:
        return None
    source = nvram.find("source")
    path = source.get("file", "") if source is not None else (nvram.text or "").strip()
    return Nvram(path, word(nvram.get("format"), otherwise="raw")) if is_path(path) else None


def leaves_firmware_open(xml: str) -> bool:
    """Whether the domain boots by UEFI and does not say where the firmware's variables are."""
    return _boots_by_uefi(parse(xml)) and read_nvram(xml) is None


def bare_machine(xml: str) -> str:
    """The domain without its devices: what a firmware is chosen by."""
    root = parse(xml)
    for element in list(root):
        if element.tag not in ("name", "memory", "vcpu", "os", "features"):
            root.remove(element)
    ET.SubElement(root, "devices")
    return ET.tostring(root, encoding="unicode")


def with_firmware(xml: str, loader: str, nvram: str, *, secure: bool) -> str:
    """The domain's XML with this firmware and this file of its variables, in place of a choice by libvirt."""
    root = parse(xml)
    system = root.find("os")
    assert system is not None, "domains have an os"
    system.attrib.pop("firmware", None)
    drop(system, "firmware", "loader", "nvram")
    put(system, "loader", loader, readonly="yes", type="pflash", secure="yes" if secure else "no")
    put(system, "nvram", nvram)
    if secure:
        features = root.find("features")
        put(ET.SubElement(root, "features") if features is None else features, "smm", "", state="on")
    return ET.tostring(root, encoding="unicode")


def read_hardware(xml: str) -> Hardware:
    """What a domain takes. Raises HypervisorError where it does not say."""
    root = parse(xml)
    memory = root.find("memory")
    if memory is None or not memory.text:
        raise HypervisorError(message("hypervisor.no_memory"))
    with reading():
        size = whole(memory.text.strip()) * _bytes_in(memory.get("unit", "KiB"))
        vcpus = whole((root.findtext("vcpu") or "1").strip(), MOST_VCPUS)
        return Hardware(whole(-(-size >> 20), MOST_MEMORY_MIB), vcpus, len(root.findall("./devices/interface")))


def _bytes_in(unit: str) -> int:
    """The bytes of one of libvirt's units of size."""
    lower = unit.lower()
    if lower in ("b", "bytes"):
        return 1
    step = 1000 if lower.endswith("b") and not lower.endswith("ib") else 1024
    size: int = step ** _POWERS[lower[:1]]
    return size


def new_template(name: str, memory_mib: int, vcpus: int, disks: Sequence[str], network: str = "default") -> str:
    """A template for bare disk images: a plain PC with virtio disks and card, BIOS, a tablet and a VGA screen."""
    root = ET.Element("domain", type="qemu")
    put(root, "name", name)
    put(root, "memory", str(memory_mib), unit="MiB")
    put(root, "vcpu", str(vcpus))
    system = ET.SubElement(root, "os")
    put(system, "type", "hvm", arch="x86_64", machine="q35")
    ET.SubElement(system, "boot", dev="hd")
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    devices = ET.SubElement(root, "devices")
    for target in disks:
        disk = ET.SubElement(devices, "disk", type="file", device="disk")
        ET.SubElement(disk, "target", dev=target, bus="virtio")
    card = ET.SubElement(devices, "interface", type="network")
    ET.SubElement(card, "source", network=network)
    ET.SubElement(card, "model", type="virtio")
    ET.SubElement(devices, "input", type="tablet", bus="usb")
    video = ET.SubElement(devices, "video")
    ET.SubElement(video, "model", type="vga")
    return ET.tostring(root, encoding="unicode")


def for_clone(template: str, identity: CloneIdentity, facts: NodeFacts, platform: Platform = ANY) -> str:
    """A clone's domain from its base's template, fitted to what its node offers, with what its migration group has.

    Raises HypervisorError where the node lacks what the base needs: a firmware, a network.
    """
    root = parse(template)
    analysis.apply(root)  # templates of before a rule was known are fitted too
    put(root, "name", identity.name)
    put(root, "uuid", identity.uuid)
    fit_platform(root, facts, platform)
    _fit_firmware(root, facts, identity.nvram)
    devices = root.find("devices")
    assert devices is not None, "templates have devices"
    put(devices, "emulator", facts.emulator)
    _require_networks(devices, facts)
    _name_in_smbios(root, identity.name)
    _own_disks(devices, identity)
    _own_tpm(devices)
    _own_cards(devices, identity)
    _private_display(devices)
    return ET.tostring(root, encoding="unicode")


def _fit_firmware(root: ET.Element, facts: NodeFacts, nvram: str) -> None:
    """A UEFI machine keeps the firmware that its base had, so that Secure Boot stays on or off, with variables of its
    own. Where the base names no file of a firmware, the node's libvirt chooses by what the base asks of one."""
    system = root.find("os")
    assert system is not None, "templates have an os"
    if not _boots_by_uefi(root):
        return
    if "efi" not in facts.firmwares:
        raise HypervisorError(message("hypervisor.no_uefi"))
    if (system.findtext("loader") or "").strip():
        system.attrib.pop("firmware", None)
        drop(system, "firmware")
    _own_nvram(system, nvram)


def _own_nvram(system: ET.Element, path: str) -> None:
    """The clone's own variables are in this file; without one libvirt makes them anew, of the firmware's template."""
    kept = system.find("nvram")
    drop(system, "nvram")
    if not path and (kept is None or not kept.get("template")):
        return
    nvram = ET.SubElement(system, "nvram", dict(kept.attrib) if kept is not None else {})
    nvram.attrib.pop("type", None)
    nvram.text = path or None


def _require_networks(devices: ET.Element, facts: NodeFacts) -> None:
    required = {source.get("network", "") for source in devices.findall("./interface[@type='network']/source")}
    if missing := sorted(required - set(facts.networks)):
        raise HypervisorError(message("hypervisor.no_networks", networks=missing, first=missing[0]))


def _name_in_smbios(root: ET.Element, name: str) -> None:
    """Let the guest read its own name: the system's serial number in SMBIOS."""
    drop(root, "sysinfo")
    info = ET.SubElement(root, "sysinfo", type="smbios")
    system = ET.SubElement(info, "system")
    put(system, "entry", name, name="serial")
    os_element = root.find("os")
    assert os_element is not None
    drop(os_element, "smbios")
    ET.SubElement(os_element, "smbios", mode="sysinfo")


def _own_disks(devices: ET.Element, identity: CloneIdentity) -> None:
    """Each disk that the base has becomes the clone's overlay; other drives are left empty."""
    for disk in devices.findall("disk"):
        target = disk.find("target")
        path = identity.disks.get(target.get("dev", "")) if target is not None else None
        for tag in ("source", "backingStore"):
            drop(disk, tag)
        if path is None:
            continue
        disk.set("type", "file")
        drop(disk, "driver")
        ET.SubElement(disk, "driver", name="qemu", type="qcow2", discard="unmap")
        ET.SubElement(disk, "source", file=path)


def _own_tpm(devices: ET.Element) -> None:
    """An emulated TPM begins empty in each clone, in the folder that the node's libvirt keeps for the clone's UUID and
    removes with it: the base's keys are in no clone, and what was sealed with them stays closed there."""
    for backend in devices.findall("./tpm/backend[@type='emulator']"):
        backend.attrib.pop("persistent_state", None)
        drop(backend, "source", "encryption")


def _own_cards(devices: ET.Element, identity: CloneIdentity) -> None:
    for card, mac in zip(devices.findall("interface"), identity.macs, strict=True):
        drop(card, "mac")
        ET.SubElement(card, "mac", address=mac)


def _private_display(devices: ET.Element) -> None:
    """One VNC display on a socket of the node's libvirt: displays listen on no network."""
    graphics = ET.SubElement(devices, "graphics", type="vnc")
    ET.SubElement(graphics, "listen", type="socket")
    ET.SubElement(devices, "audio", id="1", type="none")


def offer_display(xml: str, address: str) -> str | None:
    """A clone's XML with a SPICE display on an address of its node beside the private one, or without ("").

    None where it is so already. The display opens to nobody: its password is drawn and kept nowhere, and has
    expired, until one is set for a ticket.
    """
    root = parse(xml)
    devices = root.find("devices")
    assert devices is not None, "clones have devices"
    offered = devices.find("./graphics[@type='spice']/listen")
    if (offered.get("address", "") if offered is not None else "") == address:
        return None
    for device in (*devices.findall("./graphics[@type='spice']"), *devices.findall("./channel[@type='spicevmc']")):
        devices.remove(device)
    if address:
        _add_spice(devices, address)
        channel = ET.SubElement(devices, "channel", type="spicevmc")
        ET.SubElement(channel, "target", type="virtio", name="com.redhat.spice.0")
    return ET.tostring(root, encoding="unicode")


def _add_spice(devices: ET.Element, address: str) -> None:
    graphics = ET.SubElement(devices, "graphics", type="spice", autoport="yes")
    graphics.attrib |= {"passwd": secrets.token_urlsafe(24), "passwdValidTo": "1970-01-02T00:00:00"}
    ET.SubElement(graphics, "listen", type="address", address=address)


def move_offered_display(devices: ET.Element, address: str) -> None:
    """Have a running domain that `offer_display` gave a SPICE display offer it on that address of another node, open to
    nobody, or not at all ("").

    What the guest sees of it stays, as that cannot change while it runs: the channel's port, connected to nothing where
    there is no display.
    """
    for graphics in devices.findall("./graphics[@type='spice']"):
        devices.remove(graphics)
    channels = [each for kind in ("spicevmc", "null") for each in devices.findall(f"./channel[@type='{kind}']")]
    for channel in channels:
        channel.set("type", "spicevmc" if address else "null")
        drop(channel, "source")
    if channels and address:
        _add_spice(devices, address)


def for_other_node(xml: str, files: Mapping[str, str], facts: NodeFacts, platform: Platform = ANY) -> str:
    """A clone's own domain as another node is to have it: its files by their paths there (`files` has them by those
    here), fitted to what that node offers, with what the clones of its base get there (`platform`) in place of what
    it does not offer. All else stays, its UUID and its MAC addresses too.

    Raises HypervisorError where the node lacks what it needs: a firmware, a network.
    """
    # A display for viewers is offered anew at each start; its password is not in what was read.
    root = parse(offer_display(xml, "") or xml)
    refit_platform(root, facts, platform)
    if _boots_by_uefi(root) and "efi" not in facts.firmwares:
        raise HypervisorError(message("hypervisor.no_uefi"))
    devices = root.find("devices")
    assert devices is not None, "clones have devices"
    put(devices, "emulator", facts.emulator)
    _require_networks(devices, facts)
    for source in devices.findall("./disk/source[@file]"):
        source.set("file", files.get(source.get("file", ""), source.get("file", "")))
    move_nvram(root, files)
    return ET.tostring(root, encoding="unicode")


def move_nvram(root: ET.Element, files: Mapping[str, str]) -> None:
    """Name the file of a domain's UEFI variables by its path there (`files` has them by those here)."""
    for source in root.findall("./os/nvram/source[@file]"):
        source.set("file", files.get(source.get("file", ""), source.get("file", "")))
    nvram = root.find("./os/nvram")
    if nvram is not None and nvram.text and (path := files.get(nvram.text.strip())):
        nvram.text = path


def bound_to_host(xml: str, own: Collection[str]) -> list[str | Message]:
    """What a domain uses of its host alone: the sources of disks, and NVRAM, that are none of its own files, and
    devices of the host, a TPM among them."""
    root = parse(xml)
    sources = [source for source in root.findall("./devices/disk/source") if source.get("file", "") not in own]
    things: list[str | Message] = [printable(next(iter(source.attrib.values()), "")) for source in sources]
    nvram = read_nvram(xml)
    things += [nvram.path] if nvram is not None and nvram.path not in own else []
    devices = ("hostdev", "tpm/backend[@type='passthrough']", "tpm/backend[@type='external']")
    held = any(root.find(f"./devices/{path}") is not None for path in devices)
    return [*things, message("moves.device")] if held else things


def tpm_version(xml: str) -> str:
    """The version of the domain's emulated TPM, whose state is kept by its host; "" without one."""
    backend = parse(xml).find("./devices/tpm/backend[@type='emulator']")
    if backend is None:
        return ""
    return "1.2" if backend.get("version") == "1.2" else "2.0"


def boots_by_uefi(xml: str) -> bool:
    """Whether the domain boots by UEFI."""
    return _boots_by_uefi(parse(xml))


def _boots_by_uefi(root: ET.Element) -> bool:
    loader = root.find("./os/loader")
    return root.find("./os[@firmware='efi']") is not None or (loader is not None and loader.get("type") == "pflash")
