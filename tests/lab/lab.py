"""A lab of several nodes on one bridge of the host."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from tests.lab.files import make_files
from tests.lab.node import LabNode, shell, until

PROGRAMS = {
    "libvirtd": "libvirt-daemon-system",
    "virtlogd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "/usr/sbin/sshd": "openssh-server",
    "ip": "iproute2",
    "mcopy": "mtools",
    "syslinux": "syslinux",
    "busybox": "busybox-static",
    "systemd-nspawn": "systemd-container",
    "dbus-daemon": "dbus",
    "mmdebstrap": "mmdebstrap",
}


def missing_requirements() -> str | None:
    """Why the lab cannot run here, in one line; None when it can."""
    if os.geteuid() != 0:
        return "the lab needs root (network and mount namespaces)"
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    if missing:
        return f"not installed: apt install {' '.join(sorted(missing))}"
    if not list(Path("/boot").glob("vmlinuz-*-cloud-amd64")):
        return "not installed: apt install linux-image-cloud-amd64"
    return None


class Lab:
    """`count` nodes in `folder`, the first the master. All that it makes outside is named after `name` (at most
    6 letters): network namespaces NAME1, …, a bridge NAMEbr, cables NAMEv1, …"""

    def __init__(self, folder: Path, name: str = "rvd", count: int = 3, pool_mib: int | None = None) -> None:
        if not (name.isalpha() and len(name) <= 6):
            raise ValueError("a lab's name is up to six letters")
        self.folder = folder.resolve()
        self.name = name
        self.bridge = f"{name}br"
        # One subnet a name, of a range that is meant for tests of networks (RFC 2544).
        self.subnet = f"198.18.{hashlib.sha256(name.encode()).digest()[0]}"
        self.host_address = f"{self.subnet}.1"
        self.nodes = [self._node(number, pool_mib) for number in range(1, count + 1)]

    def _node(self, number: int, pool_mib: int | None) -> LabNode:
        name = f"{self.name}{number}"
        address = f"{self.subnet}.{10 + number}"
        plug = f"{self.name}v{number}"
        return LabNode(name, address, self.folder / name, name, plug, self.bridge, pool_mib)

    @classmethod
    def known(cls, folder: Path) -> "Lab":
        """The lab that was brought up in the folder, by whatever process. Raises FileNotFoundError."""
        kept = json.loads((folder / "lab.json").read_text())
        return cls(folder, kept["name"], kept["count"], kept["pool_mib"])

    @property
    def master(self) -> LabNode:
        """The first node."""
        return self.nodes[0]

    def up(self, authorized_keys: str | None = None) -> None:
        """Start all nodes that do not run and wait until SSH and libvirt answer on each."""
        if not any(node.running for node in self.nodes):
            self._clear()
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {"name": self.name, "count": len(self.nodes), "pool_mib": self.nodes[0].pool_mib}
        (self.folder / "lab.json").write_text(json.dumps(kept))
        self.make_bridge()
        addresses = {node.name: node.address for node in self.nodes}
        for node in self.nodes:
            if not (node.folder / "uuid").exists():
                make_files(node.folder, node.name, addresses)
            if authorized_keys:
                node.authorize(authorized_keys)
            node.start()
        for node in self.nodes:
            node.wait_ready()

    def make_bridge(self) -> None:
        """Make what its nodes, and hosts beside them, are plugged to."""
        if f"{self.bridge}:" in shell("ip", "-o", "link"):
            return
        shell("ip", "link", "add", self.bridge, "type", "bridge")
        shell("ip", "addr", "add", f"{self.host_address}/24", "dev", self.bridge)
        shell("ip", "link", "set", self.bridge, "up")

    def down(self, purge: bool = False) -> None:
        """End everything, of a lab that crashed too; `purge` removes its folder as well."""
        for node in self.nodes:
            node.kill()
        self._clear()
        if purge:
            for node in self.nodes:
                node.purge()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self) -> None:
        """Remove whatever bears the lab's name: a former lab may have had more nodes, or another folder."""
        own = [space.split()[0] for space in shell("ip", "netns").splitlines() if self._is_ours(space.split()[0])]
        for space in own:
            for pid in shell("ip", "netns", "pids", space, check=False).split():
                shell("kill", "-9", pid, check=False)
            until(lambda s=space: not shell("ip", "netns", "pids", s, check=False).strip(), 60, f"{space} is empty")
            shell("ip", "link", "del", f"{self.name}v{space.removeprefix(self.name)}", check=False)
            shell("ip", "netns", "del", space)
        shell("ip", "link", "del", self.bridge, check=False)

    def _is_ours(self, space: str) -> bool:
        return space.startswith(self.name) and space.removeprefix(self.name).isdecimal()
