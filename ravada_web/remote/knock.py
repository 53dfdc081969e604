"""A knock at a port that was silent: whether anything answers there by now, without waiting for it."""

import errno
import select
import socket
import time

# TCP tries again after one second; then it is knocked anew, for TCP itself would wait longer and longer.
SECONDS = 2.5


class Knock:
    """One attempt to connect to an address; a name is not resolved, which would take its time, but taken to answer."""

    def __init__(self, host: str, port: int) -> None:
        self._end = time.monotonic() + SECONDS
        self._plug: socket.socket | None = None
        try:
            family, kind, _protocol, _name, place = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )[0]
            self._plug = socket.socket(family, kind)
            self._plug.setblocking(False)
            if self._plug.connect_ex(place) != errno.EINPROGRESS:
                self.close()
        except OSError:
            self.close()

    @property
    def answer(self) -> bool | None:
        """Whether anything answered, and be it by refusing; None as long as that may still come."""
        if self._plug is None:
            return True
        poll = select.poll()
        poll.register(self._plug, select.POLLOUT)
        if poll.poll(0):
            return self._plug.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (0, errno.ECONNREFUSED)
        return None if time.monotonic() < self._end else False

    def close(self) -> None:
        """Give it up."""
        if self._plug is not None:
            self._plug.close()
            self._plug = None
