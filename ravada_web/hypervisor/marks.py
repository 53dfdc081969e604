"""What a clone's domain says of itself in its metadata, so that it is known again though its row is lost."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath

import libvirt

from ravada_web.hypervisor.domain_xml import read_disks, read_nvram
from ravada_web.hypervisor.errors import HypervisorError, reading
from ravada_web.hypervisor.tree import drop, parse
from ravada_web.messages.foreign import is_name, printable, whole

NAMESPACE = "urn:ravada-web:clone"
ET.register_namespace("ravada", NAMESPACE)
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
LONGEST_NAME = 64


@dataclass(frozen=True)
class Mark:
    """The base and its version's id, the owner's name, and whether the clone is volatile."""

    base: str
    version: int
    owner: str
    volatile: bool


@dataclass(frozen=True)
class Found:
    """A domain that is one of ours: its files and MAC addresses, what it says it is (None of one made before domains
    were marked), and whether it runs."""

    uuid: str
    name: str
    files: tuple[str, ...]
    macs: tuple[str, ...]
    mark: Mark | None
    runs: bool


@dataclass(frozen=True)
class Seen:
    """The domains that are ours, and the files that others have, each with the name of one of those."""

    ours: list[Found]
    used: dict[str, str]


def marked(xml: str, mark: Mark) -> str:
    """The domain's XML with this mark."""
    root = parse(xml)
    drop(root, "metadata")
    values = {"base": mark.base, "version": str(mark.version), "owner": mark.owner}
    values["volatile"] = "yes" if mark.volatile else "no"
    ET.SubElement(ET.SubElement(root, "metadata"), f"{{{NAMESPACE}}}clone", values)
    return ET.tostring(root, encoding="unicode")


def find(connection: libvirt.virConnect, known: Collection[str], folders: Collection[str]) -> Seen:
    """The domains that are ours, by their files in these folders, and whose UUIDs are not known; and what others use.
    What cannot be read is nobody's."""
    with reading():
        unknown = [domain for domain in connection.listAllDomains() if domain.UUIDString() not in known]
    seen = Seen([], {})
    for domain in unknown:
        try:
            with reading():
                xml = str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
                one = _read(domain.UUIDString(), domain.name(), xml, folders, bool(domain.isActive()))
                seen.used.update(dict.fromkeys(_files(xml), printable(domain.name())) if one is None else {})
        except HypervisorError:
            continue  # not to be known for ours
        if one is not None:
            seen.ours.append(one)
    return seen


def used_files(connection: libvirt.virConnect) -> dict[str, str]:
    """The files that any domain has, each with the name of one of those. Raises HypervisorError."""
    used = {}
    with reading():
        for domain in connection.listAllDomains():
            xml = str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
            used.update(dict.fromkeys(_files(xml), printable(domain.name())))
    return used


def _files(xml: str) -> list[str]:
    """The paths of its disks and of its NVRAM."""
    nvram = read_nvram(xml)
    return [disk.source for disk in read_disks(xml)] + ([nvram.path] if nvram else [])


def _read(uuid: str, name: str, xml: str, folders: Collection[str], runs: bool) -> Found | None:
    if not is_name(name) or len(name) > LONGEST_NAME:
        return None
    own = f"{name}.{uuid[:8]}."
    files = tuple(p for p in map(PurePosixPath, _files(xml)) if str(p.parent) in folders and p.name.startswith(own))
    if not files:
        return None
    root = parse(xml)
    said = [card.get("address", "") for card in root.findall("./devices/interface/mac")]
    macs = tuple(address for address in said if _MAC.fullmatch(address))
    return Found(uuid, name, tuple(map(str, files)), macs, _mark(root), runs)


def _mark(root: ET.Element) -> Mark | None:
    element = root.find(f"./metadata/{{{NAMESPACE}}}clone")
    if element is None or not re.fullmatch(r"[0-9]{1,9}", element.get("version", "")):
        return None
    base, owner = (printable(element.get(name, ""))[:LONGEST_NAME] for name in ("base", "owner"))
    return Mark(base, whole(element.get("version", "")), owner, element.get("volatile") == "yes")
