"""A node as SSH reaches it, and the private folder of what belongs to its link."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
HOST_KEY = re.compile(r"[a-z][a-z0-9@.-]* [A-Za-z0-9+/]+={0,2}")
LIBVIRT_SOCKET = "/run/libvirt/libvirt-sock"

# unix(7): a socket's path holds 107 bytes; "/n<id>.ctl" may take 16, and OpenSSH adds 17 while it binds one.
LONGEST_RUN_DIR = 72


@dataclass(frozen=True)
class Target:
    """Where and who a node is. `local` is this very host: no SSH, commands are plain processes. Without `root`
    commands run as the user itself: it may not become root there.

    Raises ValueError for anything that OpenSSH's command line could take for something else than a host.
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
        if not is_host(self.host):
            raise ValueError(f"not a host name or address: {self.host!r}")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"not a port: {self.port!r}")
        if not USER.fullmatch(self.user):
            raise ValueError(f"not a user name: {self.user!r}")
        if not HOST_KEY.fullmatch(self.host_key):
            raise ValueError(f"not a host key (as in 'ssh-ed25519 AAAA…'): {self.host_key!r}")

    @property
    def route(self) -> tuple[str, int, str, str]:
        """What a link depends on: when it changes, the link is reopened."""
        return (self.host, self.port, self.user, self.host_key)


@dataclass(frozen=True)
class Workspace:
    """The folder of sockets (0700, its path short) and our private key. Raises ValueError for a long path."""

    run_dir: Path
    key_file: Path

    def __post_init__(self) -> None:
        if len(bytes(self.run_dir)) > LONGEST_RUN_DIR:
            raise ValueError(f"over {LONGEST_RUN_DIR} bytes, too long for the sockets in it: {self.run_dir}")

    def control(self, target: Target) -> Path:
        """The socket over which commands share the node's link."""
        return self.run_dir / f"n{target.node_id}.ctl"

    def libvirt_socket(self, target: Target) -> Path:
        """The local end of the node's libvirt."""
        return Path(LIBVIRT_SOCKET) if target.local else self.run_dir / f"n{target.node_id}.lv"

    def known_hosts(self, target: Target) -> Path:
        """The file with the node's pinned key, and no other."""
        return self.run_dir / f"n{target.node_id}.kh"


def is_host(text: str) -> bool:
    """Whether the text is a host name, an IPv4 or an IPv6 address."""
    if HOST_NAME.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def checked_path(path: str) -> str:
    """The path itself. Raises ValueError unless it is absolute and free of control characters."""
    if not path.startswith("/") or not path.isprintable():
        raise ValueError(f"not an absolute path of printable characters: {path!r}")
    return path
