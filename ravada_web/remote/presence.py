"""Whether anything at a node's address answers at all, asked below SSH: what refuses is alive, what is silent may not.

It costs next to nothing, unlike an SSH connection, so hundreds of dark nodes can be asked at once.
"""

import errno
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

from ravada_web.messages import message
from ravada_web.remote.errors import NodeUnreachable
from ravada_web.remote.target import Target

# A refusal is asked again that often, as long as silence is waited for: an sshd that is being restarted is no death.
AGAIN_SECONDS = 0.25
# linux/in.h, linux/in6.h, linux/errqueue.h: have ICMP errors told to us, with who sent them.
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_ICMP_ORIGINS, _EXTENDED_ERROR, _MOST_BYTES = (2, 3), struct.Struct("=IBBBBII"), 512
# Where the bytes of an address are in a sockaddr.
_ADDRESS = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}


def fault(target: Target, seconds: float) -> NodeUnreachable | None:
    """What is wrong with the node's SSH port, as seen within so many seconds; None where it takes connections.

    The error's code is "refused" where the host itself says no, "timeout" where nothing answers, and "unknown_address".
    The time that the name service takes is not bounded by it.
    """
    end = time.monotonic() + seconds
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        unknown = message("remote.unknown_address_of", name=target.name, host=target.host)
        return NodeUnreachable("unknown_address", unknown)
    places = [(info[0], info[4]) for info in found]
    with ExitStack() as stack:
        asked = [stack.enter_context(_Datagram(family, where)) for family, where in places]
        refused = _refuses(places, end)
        if refused is None:
            return None
        if refused or any(datagram.was_turned_away() for datagram in asked):
            why = message("remote.refused", name=target.name, host=target.host, port=target.port)
            return NodeUnreachable("refused", why)
    return NodeUnreachable("timeout", message("remote.no_answer", name=target.name, host=target.host, port=target.port))


Place = tuple[int, Any]


def _refuses(places: Sequence[Place], end: float) -> bool | None:
    """Whether any of them refuses a connection until the end; None as soon as one takes it."""
    refused = False
    while True:
        for family, where in places:
            code = _connect(family, where, max(0.1, end - time.monotonic()) / len(places))
            if code == 0:
                return None
            refused = refused or code in (errno.ECONNREFUSED, errno.ECONNRESET)
        if time.monotonic() + AGAIN_SECONDS > end:
            return refused
        time.sleep(AGAIN_SECONDS)


def _connect(family: int, where: Any, seconds: float) -> int:
    """Returns 0 for a connection, else the system's code of why there is none."""
    with socket.socket(family, socket.SOCK_STREAM) as plug:
        plug.settimeout(seconds)
        try:
            plug.connect(where)
        except OSError as error:
            return error.errno or errno.ETIMEDOUT
        return 0


class _Datagram(socket.socket):
    """A datagram to the address. A host whose firewall keeps us from its SSH may answer it by an ICMP error of its own;
    the same error from a router on the way says nothing of the host."""

    def __init__(self, family: int, where: Any) -> None:
        super().__init__(family, socket.SOCK_DGRAM)
        self._own = socket.inet_pton(family, where[0].partition("%")[0])
        with suppress(OSError):
            self.setblocking(False)
            self.setsockopt(*_RECVERR[socket.AddressFamily(family)], 1)
            self.connect(where)
            self.send(b"")

    def was_turned_away(self) -> bool:
        """Whether such an error has come from the address itself."""
        with suppress(OSError):
            _data, lines, _flags, _from = self.recvmsg(1, _MOST_BYTES, socket.MSG_ERRQUEUE)
            return any(self._is_own(line) for _level, _kind, line in lines)
        return False

    def _is_own(self, line: bytes) -> bool:
        origin = _EXTENDED_ERROR.unpack_from(line)[1]
        return origin in _ICMP_ORIGINS and line[_EXTENDED_ERROR.size :][_ADDRESS[self.family]] == self._own
