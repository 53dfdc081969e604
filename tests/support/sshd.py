"""A real sshd of its own for tests, on a loopback address: own host key, own authorized_keys, all in one folder."""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from ravada_web.remote.keys import ensure_keypair
from ravada_web.remote.target import Target, Workspace
from tests.support.processes import tree
from tests.support.servers import wait_until

CONFIG = """
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 1000
AllowStreamLocalForwarding yes
LogLevel VERBOSE
# Debian's bash reads ~/.bashrc for every command that sshd starts, unless it believes that it runs in a shell.
SetEnv SHLVL=2
"""


@dataclass
class RunningSshd:
    """An sshd that answers at `address`:`port`; `host_key_line` is what a client pins, its log is in `folder`/log."""

    folder: Path
    address: str
    port: int
    host_key_line: str
    fingerprint: str
    process: "subprocess.Popen[bytes]"

    def authorize(self, public_line: str) -> None:
        """Let this key in, and no other."""
        (self.folder / "authorized_keys").write_text(public_line + "\n")

    def configure(self, lines: str) -> None:
        """Go on with these lines in place of those of the same settings; open connections stay as they are."""
        place = {"port": self.port, "address": self.address, "folder": self.folder}
        names = {line.split()[0] for line in lines.splitlines() if line}
        kept = [line for line in CONFIG.format(**place).splitlines() if line.partition(" ")[0] not in names]
        (self.folder / "sshd_config").write_text("\n".join([*lines.splitlines(), *kept, ""]))
        log = self.folder / "log"
        begun = log.read_text().count("Server listening")
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.read_text().count("Server listening") > begun, 10, "sshd has read its settings anew")

    def stop(self) -> None:
        """Kill it with all of its connections, as a host that loses its power does."""
        self.freeze()  # or one would still tell the other side what became of those that went before it
        for pid in reversed(tree(self.process.pid)):
            _signal(pid, signal.SIGKILL)
        self.process.wait()

    def freeze(self) -> None:
        """Make it and all of its connections stand still."""
        for pid in tree(self.process.pid):
            _signal(pid, signal.SIGSTOP)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.kill(pid, number)


def start_sshd(folder: Path, port: int = 0, address: str = "127.0.0.1") -> RunningSshd:
    """Start one on that address and port (0: a free one); the folder's host key is made where there is none.

    Skips the test where it is not root's. Nobody may log in until `authorize` was called (authorized_keys stays with
    the folder).
    """
    if os.geteuid() != 0:
        pytest.skip("an sshd that lets root in needs root")
    folder.mkdir(parents=True, exist_ok=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # Debian's sshd refuses to start without it
    key = folder / "host_key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)
    (folder / "authorized_keys").touch()
    port = port or free_port(address)
    (folder / "sshd_config").write_text(CONFIG.format(port=port, address=address, folder=folder))
    command = ["/usr/sbin/sshd", "-D", "-f", folder / "sshd_config", "-E", folder / "log"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    line = key.with_suffix(".pub").read_text().strip()
    shown = subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True).stdout
    sshd = RunningSshd(folder, address, port, line, shown.split()[1], process)
    wait_until(lambda: _answers(sshd), 10, f"sshd answers; its log: {folder / 'log'}")
    return sshd


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _answers(sshd: RunningSshd) -> bool:
    assert sshd.process.poll() is None, (sshd.folder / "log").read_text()
    try:
        with socket.create_connection((sshd.address, sshd.port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


@dataclass
class Place:
    """An sshd that lets our key in, and what reaches it; `local` is this host without SSH."""

    folder: Path
    sshd: RunningSshd
    workspace: Workspace
    target: Target
    local: Target


@contextmanager
def ssh_place() -> Iterator[Place]:
    """A sshd, a key in a folder with an awkward name, and a workspace in one with a short path, which sockets need; all
    gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rw-") as name:
        folder = Path(name)
        (folder / "run").mkdir(mode=0o700)
        workspace = Workspace(folder / "run", folder / 'the user\'s "100%h" keys' / "id_ed25519")
        sshd = start_sshd(folder / "sshd")
        try:
            sshd.authorize(ensure_keypair(workspace.key_file))
            target = Target(7, "kvm7", sshd.address, sshd.port, "root", sshd.host_key_line)
            yield Place(folder, sshd, workspace, target, Target(1, "master", "", 0, "", "", local=True))
        finally:
            sshd.stop()


def processes_of(folder: Path) -> list[int]:
    """The processes with this folder on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and os.fsencode(folder) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found
