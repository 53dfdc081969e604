"""A node as SSH reaches it, and the private folder of what belongs to its link."""

import re
import socket
from base64 import b64decode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ravada_web.messages import message
from ravada_web.remote.address import address_fault, user_fault
from ravada_web.remote.errors import InvalidTarget

HOST_KEY = re.compile(r"[a-z][a-z0-9@.-]* [A-Za-z0-9+/]+={0,2}")
LIBVIRT_SOCKET = "/run/libvirt/libvirt-sock"
# What the helper listens at: where it is asked for commands and displays, and the way to this host's libvirt.
COMMANDS, LIBVIRT = "commands", "libvirt"

# unix(7): a socket's path holds 107 bytes; "/n<id>.ctl" may take 16, and OpenSSH adds 17 while it binds one.
LONGEST_RUN_DIR = 72


@dataclass(frozen=True)
class Target:
    """Where and who a node is. `local` is this very host: no SSH, commands are plain processes. Without `root`
    commands run as the user itself: it may not become root there.

    Raises InvalidTarget for anything that OpenSSH's command line could take for something else than a host.
    """

    node_id: int
    name: str
    host: str
    port: int
    user: str
    host_key: str
    local: bool = False
    root: bool = True

    def __post_init__(self) -> None:
        if self.local:
            return
        if fault := address_fault(self.host):
            raise InvalidTarget(message("remote.invalid_address", name=self.name, host=self.host, why=fault))
        if not 1 <= self.port <= 65535:
            raise InvalidTarget(message("remote.invalid_port", name=self.name, port=str(self.port)))
        if fault := user_fault(self.user):
            raise InvalidTarget(message("remote.invalid_user", name=self.name, user=self.user, why=fault))
        if not _is_host_key(self.host_key):
            raise InvalidTarget(message("remote.invalid_host_key", name=self.name))

    @property
    def route(self) -> tuple[str, int, str, str]:
        """What a link depends on: when it changes, the link is reopened."""
        return (self.host, self.port, self.user, self.host_key)


@dataclass(frozen=True)
class Workspace:
    """The folder of sockets (0700, its path short), our private key, and the folder of the helper's sockets where this
    host may have one. Raises ValueError for a long path."""

    run_dir: Path
    key_file: Path
    helper: Path | None = None

    def __post_init__(self) -> None:
        if len(bytes(self.run_dir)) > LONGEST_RUN_DIR:
            raise ValueError(f"over {LONGEST_RUN_DIR} bytes, too long for the sockets in it: {self.run_dir}")

    def control(self, target: Target) -> Path:
        """The socket over which commands share the node's link."""
        return self.run_dir / f"n{target.node_id}.ctl"

    def carrier(self, target: Target) -> Path:
        """The socket over which copies share a connection of their own, where the node has one now."""
        return self.run_dir / f"n{target.node_id}.mov"

    @property
    def helper_socket(self) -> Path | None:
        """Where the helper is asked, which is root and does for us what is done on this very host; None where none
        runs that answers us."""
        return self.helper / COMMANDS if self.helper and accepts(self.helper / COMMANDS) else None

    def libvirt_socket(self, target: Target) -> Path:
        """The local end of the node's libvirt."""
        if not target.local:
            return self.run_dir / f"n{target.node_id}.lv"
        asked = self.helper_socket
        return asked.with_name(LIBVIRT) if asked else Path(LIBVIRT_SOCKET)

    def known_hosts(self, target: Target) -> Path:
        """The file with the node's pinned key, and no other. Each key has its own: a process that still holds a key
        from before a new one was accepted never writes it where others read the new one."""
        key = sha256(target.host_key.encode()).hexdigest()[:16]
        return self.run_dir / f"n{target.node_id}-{key}.kh"


def accepts(path: Path) -> bool:
    """Whether somebody takes connections at a local socket, and lets us."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # others wait before us
            return True
        except OSError:
            return False
    return True


def _is_host_key(line: str) -> bool:
    """Whether it is a public key as in "ssh-ed25519 AAAA…"."""
    if not HOST_KEY.fullmatch(line):
        return False
    try:
        return bool(b64decode(line.split()[1], validate=True))
    except ValueError:
        return False


def checked_path(path: str) -> str:
    """The path itself, which may hold whatever a file's name may. Raises ValueError unless it is an absolute path."""
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f"not an absolute path: {path!r}")
    return path
