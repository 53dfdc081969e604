"""A connection to a host that is not trusted yet: bounded in what it may send and in how long it may take, in all."""

import errno
import os
import socket
import time

# A key exchange takes a few KiB, a login and a command's words not many more.
MOST_BYTES = 1 << 20
PIECE = 1 << 16


class BoundedSocket(socket.socket):
    """A connection as paramiko uses one, taken over from `plug`: after `most` bytes, or at a moment of the monotonic
    clock, it is over.

    paramiko itself reads as many bytes as the host announces, and each at the host's pace.
    """

    def __init__(self, plug: socket.socket, end: float, most: int = MOST_BYTES) -> None:
        super().__init__(fileno=plug.detach())
        self._end, self._left = end, most

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """At most so many bytes. Raises ConnectionAbortedError beyond the bounds."""
        if self._left <= 0 or time.monotonic() > self._end:
            raise ConnectionAbortedError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED))
        data = super().recv(min(bufsize, self._left, PIECE), flags)
        self._left -= len(data)
        return data
