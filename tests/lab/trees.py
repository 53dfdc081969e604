"""Debian's files, for hosts that boot: this machine's own, which is a Debian 12, and Debian 13 from its mirror.

`python -m tests.lab.trees` fetches the latter; it is kept in var/trees.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ravada_web import ROOT
from ravada_web.services.joining.checks.commands import _PACKAGES
from tests.lab.files import QEMU_CONF
from tests.lab.lab import missing_requirements
from tests.lab.node import shell

# Marks a folder of an overlay that hides what is below it.
OPAQUE = "trusted.overlay.opaque"
TREES = ROOT / "var" / "trees"
UNITS = Path("etc/systemd/system")
NO_UNITS = ("console-getty.service", "getty@tty1.service", "systemd-resolved.service", "systemd-timesyncd.service")
DEFAULT_NETWORK = Path("usr/share/libvirt/networks/default.xml")


@dataclass(frozen=True)
class Tree:
    """A folder of Debian's files; `hidden` are the folders whose contents no host sees, `units` what it starts."""

    folder: Path
    hidden: tuple[str, ...]
    units: tuple[str, ...]

    def hide(self, upper: Path) -> None:
        """Begin the upper layer of a host: these folders are there, and empty."""
        for name in self.hidden:
            kept = self.folder / name
            if kept.is_dir():
                _same_folder(kept, upper / name)
                os.setxattr(upper / name, OPAQUE, b"y")

    def furnish(self, root: Path, name: str) -> None:
        """Make the root folder a host of its own, of that name, which starts `units`."""
        (root / "etc/hostname").write_text(f"{name}\n")
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost {name}\n")
        (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
        (root / "etc/resolv.conf").unlink(missing_ok=True)
        (root / "etc/resolv.conf").write_text("")
        for folder in ("etc/systemd/network", "root/.ssh", UNITS):
            (root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        (root / UNITS / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
        for unit in NO_UNITS:
            (root / UNITS / unit).symlink_to("/dev/null")
        shell("chroot", root, "systemctl", "--quiet", "enable", *self.units)
        if (self.folder / "var/lib/libvirt").is_dir():
            self._furnish_libvirt(root)

    def _furnish_libvirt(self, root: Path) -> None:
        """libvirt's own folders, as its packages make them, and its network."""
        for kept in (self.folder / "var/lib/libvirt").iterdir():
            _same_folder(kept, root / "var/lib/libvirt" / kept.name)
        (root / "etc/libvirt/qemu.conf").write_text(QEMU_CONF)
        networks = root / "etc/libvirt/qemu/networks"
        (networks / "autostart").mkdir(parents=True)
        shutil.copy(root / DEFAULT_NETWORK, networks)
        (networks / "autostart/default.xml").symlink_to("/etc/libvirt/qemu/networks/default.xml")


def _same_folder(kept: Path, made: Path) -> None:
    """An empty folder with the owner and the rights of another."""
    made.mkdir(parents=True, exist_ok=True)
    found = kept.stat()
    os.chown(made, found.st_uid, found.st_gid)
    made.chmod(found.st_mode & 0o7777)


# This machine is a Debian 12 with libvirt: a host of its files is one, without what is this machine's own.
DEBIAN_12 = Tree(
    Path("/"),
    ("etc/libvirt/qemu", "etc/libvirt/storage", UNITS, "home", "opt", "root", "srv", "tmp", "var/lib/libvirt",
     "var/log", "var/tmp"),
    ("ssh.service", "systemd-networkd.service", "libvirtd.service", "libvirt-guests.service"),
)  # fmt: skip

# What the bare Debian 13 has, and what it is to install when it is joined: packages that lie ready, for want
# of a mirror. Fast writes, and nothing that only people read: it is all thrown away.
BARE = "systemd,systemd-sysv,dbus,iproute2,openssh-server,libpam-systemd"
TO_INSTALL = " ".join(_PACKAGES["debian"][what] for what in ("libvirt", "tools", "firewall"))
APT = 'Acquire::Retries "0";\nBinary::apt-get::APT::Keep-Downloaded-Packages "true";\n'
DPKG = "force-unsafe-io\nforce-confold\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n"
DPKG += "path-exclude=/usr/share/locale/*\n"
RECIPE = (BARE, TO_INSTALL, APT, DPKG, QEMU_CONF)


def debian_13() -> Tree:
    """A bare Debian 13. Raises FileNotFoundError where it has not been fetched."""
    folder = TREES / f"debian-13-{hashlib.sha256(repr(RECIPE).encode()).hexdigest()[:12]}"
    return Tree(folder, ("var/log",), ("ssh.service", "systemd-networkd.service"))


def fetch() -> None:
    """Have the Debian 13 there."""
    have(debian_13().folder, _make)


def have(folder: Path, make: Callable[[Path], None]) -> None:
    """Have a folder of var/trees there, made once for all who ask at the same time; `make` fills an empty one."""
    TREES.mkdir(parents=True, exist_ok=True)
    with (TREES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return
        half = TREES / "half"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir()
        make(half)
        half.rename(folder)


def _make(half: Path) -> None:
    shell("mmdebstrap", "--quiet", "--variant=minbase", f"--include={BARE}", "trixie", half)
    (half / "etc/apt/apt.conf.d/90lab").write_text(APT)
    (half / "etc/dpkg/dpkg.cfg.d/90lab").write_text(DPKG)
    (half / "etc/resolv.conf").unlink(missing_ok=True)
    shutil.copy("/etc/resolv.conf", half / "etc/resolv.conf")
    shell("chroot", half, "apt-get", "update", "-qq")
    shell(
        "chroot", half, "apt-get", "install", "-qq", "--download-only", "--no-install-recommends", *TO_INSTALL.split()
    )
    (half / "etc/libvirt").mkdir()
    (half / "etc/libvirt/qemu.conf").write_text(QEMU_CONF)


if __name__ == "__main__":
    if reason := missing_requirements():
        sys.exit(f"The lab cannot run here: {reason}")
    fetch()
