"""Live migration by libvirt alone, for benchmarks: one domain after another, over the nodes' own network."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import libvirt

from ravada_web.hypervisor.connection import open_connection
from tests.lab import LabNode
from tests.support.cluster import IMAGES

FLAGS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_NON_SHARED_INC
)


@dataclass(frozen=True)
class BareMove:
    """What one took: seconds in all, and milliseconds that its guest stood still."""

    seconds: float
    downtime_ms: int


def make_domains(node: LabNode, like: str, count: int, backing: str) -> list[str]:
    """Define and start so many domains like one of the product's, each on an empty overlay; returns their names."""
    document = node.virsh("dumpxml", "--inactive", like)
    names = [f"floor-{number}" for number in range(1, count + 1)]
    for name in names:
        make_overlay(node, name, backing)
        node.run(["virsh", "define", "/dev/stdin"], stdin=_named(document, name))
        node.virsh("start", name)
    return names


def make_overlay(node: LabNode, name: str, backing: str) -> None:
    """Make the domain's disk, empty."""
    path = f"{IMAGES}/{name}.qcow2"
    node.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, path])


def move(uri: str, target_uri: str, source: LabNode, target: LabNode, name: str, backing: str) -> BareMove:
    """Move one, its overlay made first; both URIs reach the nodes' libvirts from here."""
    begun = time.monotonic()
    make_overlay(target, name, backing)
    with open_connection(uri) as here, open_connection(target_uri) as there:
        parameters = {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{target.address}"}
        moved = here.lookupByName(name).migrate3(there, parameters, FLAGS)
        stats = moved.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    return BareMove(time.monotonic() - begun, int(stats.get("downtime", 0)))


def remove(nodes: Sequence[LabNode], names: Sequence[str]) -> None:
    """End the domains, wherever they are, and remove their disks."""
    for node in nodes:
        there = set(node.virsh("list", "--all", "--name").split()) & set(names)
        for name in there:
            node.virsh("destroy", name)
            node.virsh("undefine", name)
        node.run(["rm", "-f", *(f"{IMAGES}/{name}.qcow2" for name in names)])


def _named(document: str, name: str) -> str:
    """The definition, with this name, a UUID, a MAC address and a disk of its own."""
    document = re.sub(r"<name>.*?</name>", f"<name>{name}</name>", document)
    document = re.sub(r"<uuid>.*?</uuid>", f"<uuid>{uuid4()}</uuid>", document, count=1)
    document = re.sub(r"<mac address=.*?/>", "", document)
    document = re.sub(r"<sysinfo.*?</sysinfo>|<smbios.*?/>|<metadata>.*?</metadata>", "", document, flags=re.DOTALL)
    return re.sub(r"<source file='[^']*\.qcow2'", f"<source file='{IMAGES}/{name}.qcow2'", document, count=1)
