"""A host that boots systemd: it can be rebooted and switched off from inside, and killed and cut off like a lab's node.

Its disk is an overlay, kept in memory, over a tree of Debian's files that several hosts have in common.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.files import make_host_key
from tests.lab.lab import Lab
from tests.lab.node import LabNode, shell, spawn, until
from tests.lab.trees import Tree

DISK_MIB = 2048
# Where systemd and what keeps a host have their groups of processes; which of them are there is the machine's.
CGROUPS = [Path("/sys/fs/cgroup", name) for name in ("systemd", "unified", "")]
NETWORK = """[Match]
Name=host0

[Network]
Address={address}/24
LinkLocalAddressing=no
"""


@dataclass
class BootedHost(LabNode):
    """A host on the bridge of a lab; `folder` is its root folder, as itself and this machine see it."""

    tree: Tree = field(kw_only=True)

    @classmethod
    def beside(cls, lab: Lab, number: int, tree: Tree) -> "BootedHost":
        """One on the lab's bridge, under a number that no node of the lab has."""
        name = f"{lab.name}{number}"
        folder = lab.folder / name
        return cls(name, f"{lab.subnet}.{10 + number}", folder, name, f"vb-{name}", lab.bridge, None, tree=tree)

    @property
    def _disk(self) -> Path:
        return self.folder.with_name(f"{self.name}.disk")

    @property
    def pid_file(self) -> Path:
        """Where the number of its first process is kept."""
        return self.folder.with_name(f"{self.name}.pid")

    @property
    def log(self) -> Path:
        """What its console showed."""
        return self.folder.with_name(f"{self.name}.log")

    def make(self) -> None:
        """Give it a fresh disk; what the host is to find at its first boot can then be written into its folder."""
        for place in (self.folder, self._disk):
            place.mkdir(parents=True, exist_ok=True)
        shell("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "tmpfs", self._disk)
        upper, work = self._disk / "upper", self._disk / "work"
        upper.mkdir()
        work.mkdir()
        self.tree.hide(upper)
        layers = f"lowerdir={self.tree.folder},upperdir={upper},workdir={work}"
        shell("mount", "-t", "overlay", "-o", layers, "overlay", self.folder)
        self.tree.furnish(self.folder, self.name)
        (self.folder / "etc/systemd/network/10-host0.network").write_text(NETWORK.format(address=self.address))
        for key in (self.folder / "etc/ssh").glob("ssh_host_*"):
            key.unlink()
        make_host_key(self.folder, self.name)

    def bind(self, source: Path, place: str) -> None:
        """Show a folder of this machine in the host, read only, from its next boot on."""
        target = self.folder / place.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        shell("mount", "--bind", "-o", "ro", source, target)

    def start(self) -> None:
        """Switch it on, with the disk that it has."""
        if self.running:
            return
        script = Path(__file__).with_name("booted.sh")
        private = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command = [*private, "sh", str(script), str(self.folder), self.name, self.bridge]
        self.pid_file.write_text(str(spawn(command, self.log)))

    def wait_booted(self, seconds: float = 300) -> None:
        """Wait until SSH answers and systemd has started what it was to start."""
        until(self._ssh_answers, seconds, f"sshd of {self.name}; see {self.log}")
        until(self._is_up, seconds, f"systemd of {self.name}; see {self.log}")

    def _is_up(self) -> bool:
        said = subprocess.run(self.entering("systemctl", "is-system-running"), capture_output=True, text=True).stdout
        return said.strip() in ("running", "degraded")

    def _inside(self) -> int:
        """Its systemd, the first process of its own."""
        waiting = [self._pid() or 0]
        while waiting:
            pid = waiting.pop()
            try:
                if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                    return pid
                waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except OSError:
                continue
        raise RuntimeError(f"{self.name} is not running")

    def reboot(self) -> None:
        """Have it reboot by itself, in order; returns when its systemd has ended."""
        before = self._inside()
        self.run(["systemctl", "reboot", "--no-block"])
        until(lambda: not Path(f"/proc/{before}").exists(), 120, f"{self.name} has gone down; see {self.log}")

    def switch_off(self) -> None:
        """Have it switch itself off, in order: its guests are asked to shut down; returns at once."""
        self.run(["systemctl", "poweroff", "--no-block"])

    def kill(self) -> None:
        """Sudden death: the network is gone, then every process at once, without a word to anybody."""
        shell("ip", "link", "del", self.plug, check=False)
        self._end()
        for tree in CGROUPS:
            until(lambda top=tree / f"lab-{self.name}": _removed(top), 60, f"all of {self.name}")

    def purge(self) -> None:
        """Take its disk away; it must not run."""
        shell("umount", "--recursive", self.folder, check=False)
        shell("umount", self._disk, check=False)
        for place in (self.folder, self._disk):
            shutil.rmtree(place, ignore_errors=True)


def _removed(group: Path) -> bool:
    """Whether a group of processes is gone, with those below it; removes those that are empty."""
    for folder, _folders, _files in os.walk(group, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError:
            return False
    return True
