"""What must be there before the processes start: without it they would end again and again."""

import errno
import shutil
import socket

from ravada_web.config import Settings
from ravada_web.errors import CannotRun

# The Debian packages of the programs that every installation runs.
PACKAGES = {"ssh": "openssh-client", "ssh-keygen": "openssh-client", "setpriv": "util-linux"}
OWN_REDIS = {"redis-server": "redis-server"}
FIRST_OPEN_PORT = 1024


def require(settings: Settings) -> None:
    """Raise CannotRun for what is missing: a program, the port, the certificate."""
    _require_programs(PACKAGES | (OWN_REDIS if settings.has_own_redis else {}))
    _require_port(settings.host, settings.port)
    settings.tls_context()


def _require_programs(packages: dict[str, str]) -> None:
    missing = {program for program in packages if shutil.which(program) is None}
    if missing:
        install = " ".join(sorted({packages[program] for program in missing}))
        raise CannotRun(f"Not installed: {', '.join(sorted(missing))}. To install: apt install {install}")


def _require_port(host: str, port: int) -> None:
    """Listen for a moment where the gateway will."""
    try:
        for family, kind, _protocol, _name, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen()
    except OSError as error:
        raise CannotRun(_no_port(host, port, error)) from error


def _no_port(host: str, port: int, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"{host} is no address of this host: {error.strerror}. Set RAVADA_HOST to one that is."
    if error.errno == errno.EADDRINUSE:
        return f"Another program listens on {host}, port {port}. Stop that, or set RAVADA_PORT to a free port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"This host has no address {host}. Set RAVADA_HOST to one that it has; 0.0.0.0 is all of them."
    if error.errno == errno.EACCES and port < FIRST_OPEN_PORT:
        return (
            f"Only root may listen on port {port}. Run this as root, or set RAVADA_PORT to {FIRST_OPEN_PORT} or more."
        )
    return f"Cannot listen on {host}, port {port}: {error.strerror}. See RAVADA_HOST and RAVADA_PORT."
