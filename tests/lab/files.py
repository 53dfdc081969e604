"""What a lab node's private folders hold when it is made: keys, configuration, a pool and a network."""

import shutil
import subprocess
import uuid
from pathlib import Path

FOLDERS = ("dev", "etc/libvirt/storage/autostart", "etc/libvirt/qemu/networks/autostart", "etc/ssh",
           "var/lib/libvirt/images", "var/log/libvirt", "root/.ssh", "home", "etc/sudoers.d")  # fmt: skip
LIBVIRTD_CONF = """host_uuid = "{uuid}"
auth_unix_rw = "none"
unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
max_clients = 200
"""
QEMU_CONF = """namespaces = []
security_driver = "none"
user = "root"
group = "root"
remember_owner = 0
cgroup_controllers = []
"""
SSHD_CONFIG = """Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication yes
UsePAM no
UseDNS no
StrictModes no
MaxStartups 200:30:400
MaxSessions 200
Subsystem sftp internal-sftp
"""
POOL = """<pool type='dir'><name>default</name><uuid>{uuid}</uuid>
<target><path>/var/lib/libvirt/images</path></target></pool>
"""
NETWORK = """<network><name>default</name><uuid>{uuid}</uuid><forward mode='bridge'/><bridge name='virbr0'/></network>
"""


def make_files(folder: Path, name: str, addresses: dict[str, str]) -> None:
    """Fill a new node's folder; `addresses` are all the lab's nodes' by name."""
    for inside in FOLDERS:
        (folder / inside).mkdir(parents=True, exist_ok=True)
    (folder / "root/.ssh").chmod(0o700)
    own = str(uuid.uuid4())
    (folder / "uuid").write_text(own)
    libvirt = folder / "etc/libvirt"
    (libvirt / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(uuid=own))
    (libvirt / "qemu.conf").write_text(QEMU_CONF)
    for kept in ("virtlogd.conf", "libvirt.conf"):
        if (source := Path("/etc/libvirt") / kept).exists():
            shutil.copy(source, libvirt / kept)
    _autostarted(libvirt / "storage", "default", POOL.format(uuid=uuid.uuid4()))
    _autostarted(libvirt / "qemu/networks", "default", NETWORK.format(uuid=uuid.uuid4()))
    (folder / "etc/ssh/sshd_config").write_text(SSHD_CONFIG)
    make_host_key(folder, name)
    hosts = "".join(f"{address} {other}\n" for other, address in addresses.items())
    (folder / "etc/hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
    (folder / "etc/resolv.conf").write_text("")
    for private in ("passwd", "group", "shadow", "os-release"):
        shutil.copy(Path("/etc") / private, folder / "etc" / private)
    (folder / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")


def _autostarted(folder: Path, name: str, xml: str) -> None:
    (folder / f"{name}.xml").write_text(xml)
    link = folder / "autostart" / f"{name}.xml"
    link.unlink(missing_ok=True)
    # libvirt compares the link with the path as the node sees it.
    link.symlink_to(Path("/etc/libvirt") / folder.relative_to(folder.parents[1 if folder.name == "networks" else 0])
                    / f"{name}.xml")  # fmt: skip


def make_host_key(folder: Path, name: str) -> None:
    """A new host key in place of the one that is there."""
    key = folder / "etc/ssh/ssh_host_ed25519_key"
    key.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
