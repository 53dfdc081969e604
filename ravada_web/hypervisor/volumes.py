"""Volumes of libvirt's pools: where they are."""

import xml.etree.ElementTree as ET

import libvirt

from ravada_web.hypervisor.errors import is_code, reading
from ravada_web.hypervisor.tree import drop, parse
from ravada_web.messages.foreign import is_path

# What a disk of that volume's type would be, and the attribute of its source that has the path.
_PLAIN = {libvirt.VIR_STORAGE_VOL_FILE: ("file", "file"), libvirt.VIR_STORAGE_VOL_BLOCK: ("block", "dev")}
_NOT_THERE = (
    libvirt.VIR_ERR_NO_STORAGE_POOL,
    libvirt.VIR_ERR_NO_STORAGE_VOL,
    libvirt.VIR_ERR_OPERATION_INVALID,  # the pool is not active
)


def with_paths(connection: libvirt.virConnect, xml: str) -> str:
    """A domain's XML with each disk that names a volume naming that volume's file or device in its place.

    One whose volume is not found, or has no path on the host, is left as it is. Raises HypervisorError.
    """
    root = parse(xml)
    for disk in root.findall("./devices/disk[@type='volume']"):
        source = disk.find("source")
        if source is None:
            continue
        with reading():
            found = _find(connection, source.get("pool", ""), source.get("volume", ""))
        if found is not None:
            _name(disk, source, *found)
    return ET.tostring(root, encoding="unicode")


def _find(connection: libvirt.virConnect, pool: str, volume: str) -> tuple[int, str] | None:
    """The type and the path of a volume. A file that came into a pool's folder by itself is not known to libvirt until
    the pool is read anew."""
    try:
        within = connection.storagePoolLookupByName(pool)
        if volume not in within.listVolumes():
            within.refresh()
        found = within.storageVolLookupByName(volume)
        path = found.path()
        return (found.info()[0], path) if is_path(path) else None
    except libvirt.libvirtError as error:
        if is_code(error, *_NOT_THERE):
            return None
        raise


def _name(disk: ET.Element, source: ET.Element, kind: int, path: str) -> None:
    if kind not in _PLAIN:
        return
    disk_type, attribute = _PLAIN[kind]
    disk.set("type", disk_type)
    kept = source.find("encryption")
    drop(disk, "source")
    plain = ET.SubElement(disk, "source", {attribute: path})
    if kept is not None:
        plain.append(kept)
