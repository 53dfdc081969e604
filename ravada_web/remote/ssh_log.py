"""What ssh itself reports of one connection, kept apart from what the host says: the one goes to its log, the other to
its standard error, so that neither is taken for the other."""

import os

TAIL_BYTES = 8192
# A link reports for as long as it lives.
MOST_BYTES = 1 << 20


class SshLog:
    """The log of one ssh, in memory; `close` it when it was read."""

    def __init__(self) -> None:
        self._file = os.memfd_create("ssh-log")

    @property
    def options(self) -> tuple[str, ...]:
        """What makes an ssh of this process's write to it, and say when it has logged in."""
        return ("-E", f"/proc/{os.getpid()}/fd/{self._file}", "-o", "LogLevel=VERBOSE")

    def tail(self) -> bytes:
        """The end of what it has reported until now."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, TAIL_BYTES, max(0, size - TAIL_BYTES))
        if size > MOST_BYTES:
            os.ftruncate(self._file, 0)  # ssh appends, at whatever is the end
        return tail

    def close(self) -> None:
        """Forget it; what still writes to it does so for nobody."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
