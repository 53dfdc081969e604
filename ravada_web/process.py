"""What our processes set in the system: their name, as `ps` shows it, and that they die with their parent."""

import ctypes
import os
import signal

from setproctitle import setproctitle

PR_SET_PDEATHSIG = 1


def set_name(name: str) -> None:
    """Show this process as "ravada: <name>" in `ps`."""
    setproctitle(f"ravada: {name}")


def die_with(parent: int) -> None:
    """Have this process killed when `parent`, the process that forked it, ends; at once where it already has.

    The signal comes when the *thread* ends that forked, so that must be one that lives as long as its process.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
