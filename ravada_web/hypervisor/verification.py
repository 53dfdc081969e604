"""The VM that tests a node: an empty disk, and firmware that writes to its screen."""

import xml.etree.ElementTree as ET

import libvirt

from ravada_web.hypervisor.displays import read_displays
from ravada_web.hypervisor.errors import translated
from ravada_web.hypervisor.facts import NodeFacts

MEMORY_MIB = 32


def machine_xml(name: str, disk: str, facts: NodeFacts) -> str:
    """The domain, as plain as one can be: what the node offers, one disk, one display on a private socket."""
    root = ET.Element("domain", type=facts.virt_type)
    ET.SubElement(root, "name").text = name
    ET.SubElement(root, "memory", unit="MiB").text = str(MEMORY_MIB)
    ET.SubElement(root, "vcpu").text = "1"
    system = ET.SubElement(root, "os")
    kind = ET.SubElement(system, "type", arch=facts.arch)
    kind.text = "hvm"
    if "pc" in facts.machines:
        kind.set("machine", "pc")
    devices = ET.SubElement(root, "devices")
    ET.SubElement(devices, "emulator").text = facts.emulator
    drive = ET.SubElement(devices, "disk", type="file", device="disk")
    ET.SubElement(drive, "driver", name="qemu", type="qcow2")
    ET.SubElement(drive, "source", file=disk)
    ET.SubElement(drive, "target", dev="vda", bus="virtio")
    graphics = ET.SubElement(devices, "graphics", type="vnc")
    ET.SubElement(graphics, "listen", type="socket")
    ET.SubElement(ET.SubElement(devices, "video"), "model", type="vga")
    return ET.tostring(root, encoding="unicode")


def boot(connection: libvirt.virConnect, xml: str) -> str:
    """Start the machine, which ends with the connection at the latest; returns its display's socket on the node.

    Raises HypervisorError.
    """
    with translated():
        domain = connection.createXML(xml, libvirt.VIR_DOMAIN_START_AUTODESTROY)
        return read_displays(connection, domain.UUIDString()).socket


def end(connection: libvirt.virConnect, name: str) -> None:
    """End the machine. Raises HypervisorError."""
    with translated():
        connection.lookupByName(name).destroy()
