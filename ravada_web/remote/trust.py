"""Coming to trust a host: read the key that it shows."""

import logging
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass

import paramiko

from ravada_web.messages import message
from ravada_web.messages.foreign import Nonsense, printable
from ravada_web.remote.address import without_zone
from ravada_web.remote.bounded import BoundedSocket
from ravada_web.remote.errors import NodeUnreachable
from ravada_web.remote.ssh import fingerprint_of

# RSA of 16,384 bits takes 2,800 characters.
LONGEST_KEY = 8192
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
    with ExitStack() as stack, _connect(host, port, deadline) as connection:
        _expect_ssh(connection, host, port, end)
        source = without_zone(connection.getsockname()[0])
        bounded = stack.enter_context(BoundedSocket(connection, end))
        transport = paramiko.Transport(bounded)
        transport.set_log_channel(QUIET)
        transport.banner_timeout = transport.handshake_timeout = deadline
        try:
            transport.start_client(timeout=max(0.1, end - time.monotonic()))
            key = transport.get_remote_server_key()
            line = f"{key.get_name()} {key.get_base64()}"
            if len(line) > LONGEST_KEY:
                raise Nonsense("a key longer than any")
        except Exception as error:
            no_key = message("remote.no_key", host=host, port=port, said=printable(str(error)))
            raise NodeUnreachable("not_ssh", no_key) from error
        finally:
            transport.close()
    return HostKey(line, fingerprint_of(line), source)


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=deadline)
    except (socket.gaierror, UnicodeError) as error:
        raise NodeUnreachable("unknown_address", message("remote.unknown_address", host=host)) from error
    except ConnectionRefusedError as error:
        raise NodeUnreachable("refused", message("remote.port_refused", host=host, port=port)) from error
    except OSError as error:
        raise NodeUnreachable("timeout", message("remote.port_no_answer", host=host, port=port)) from error


def _expect_ssh(connection: socket.socket, host: str, port: int, end: float) -> None:
    """Look at the first bytes, leaving them to be read: RFC 4253 begins with "SSH-"."""
    connection.settimeout(max(0.1, end - time.monotonic()))
    try:
        first = connection.recv(4, socket.MSG_PEEK)
    except TimeoutError as error:
        raise NodeUnreachable("timeout", message("remote.port_silent", host=host, port=port)) from error
    except OSError:
        first = b""
    if not first or not b"SSH-".startswith(first):
        raise NodeUnreachable("not_ssh", message("remote.port_not_ssh", host=host, port=port))
