"""Coming to trust a host: read the key that it shows."""

import logging
import socket
import time
from dataclasses import dataclass

import paramiko

from ravada_web.remote.errors import Code, NodeUnreachable
from ravada_web.remote.ssh import fingerprint_of

# paramiko logs a traceback for what we raise as a sentence.
QUIET = "ravada_web.remote.paramiko"
logging.getLogger(QUIET).addHandler(logging.NullHandler())
logging.getLogger(QUIET).propagate = False


@dataclass(frozen=True)
class HostKey:
    """A host's public key: its line ("ssh-ed25519 AAAA…") and what a person compares ("SHA256:…").

    `source` is our own address on the way to it.
    """

    line: str
    fingerprint: str
    source: str


def fetch_host_key(host: str, port: int, deadline: float = 5.0) -> HostKey:
    """Read the key that a host shows, ed25519 if it has one, without logging in. `deadline` in seconds.

    The time that the name service takes is not bounded by it. Raises NodeUnreachable.
    """
    end = time.monotonic() + deadline
    with _connect(host, port, deadline) as connection:
        _expect_ssh(connection, host, port, end)
        source = connection.getsockname()[0]
        transport = paramiko.Transport(connection)
        transport.set_log_channel(QUIET)
        transport.banner_timeout = transport.handshake_timeout = deadline
        try:
            transport.start_client(timeout=max(0.1, end - time.monotonic()))
            key = transport.get_remote_server_key()
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise _unreachable(
                "not_ssh",
                host,
                port,
                f"speaks SSH, but no key was agreed upon ({error}). Check its sshd's log",
            ) from error
        finally:
            transport.close()
    line = f"{key.get_name()} {key.get_base64()}"
    return HostKey(line, fingerprint_of(line), source)


def _unreachable(code: Code, host: str, port: int, what: str) -> NodeUnreachable:
    return NodeUnreachable(code, f"{host} port {port} {what}.")


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=deadline)
    except (socket.gaierror, UnicodeError) as error:
        text = f"The address {host} is not known. Check its spelling, or give an IP address."
        raise NodeUnreachable("unknown_address", text) from error
    except ConnectionRefusedError as error:
        what = "refused the connection: nothing listens there. Check the port, and that sshd runs on that host"
        raise _unreachable("refused", host, port, what) from error
    except OSError as error:
        what = "did not answer. Check the address, that the host is on, and that no firewall is between"
        raise _unreachable("timeout", host, port, what) from error


def _expect_ssh(connection: socket.socket, host: str, port: int, end: float) -> None:
    """Look at the first bytes, leaving them to be read: RFC 4253 begins with "SSH-"."""
    connection.settimeout(max(0.1, end - time.monotonic()))
    try:
        first = connection.recv(4, socket.MSG_PEEK)
    except TimeoutError as error:
        what = "accepts connections but says nothing: no SSH server, or an overloaded one. Check the port"
        raise _unreachable("timeout", host, port, what) from error
    except OSError:
        first = b""
    if not first or not b"SSH-".startswith(first):
        what = "is open, but what answers there is not SSH. Check the port"
        raise _unreachable("not_ssh", host, port, what)
