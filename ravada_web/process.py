"""What our processes set in the system: their name, as `ps` shows it, and that they die with their parent."""

import ctypes
import os
import signal

from setproctitle import setproctitle

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38


def set_name(name: str) -> None:
    """Show this process as "ravada: <name>" in `ps`."""
    setproctitle(f"ravada: {name}")


def forgo_privileges() -> None:
    """Let this process, and what it starts, gain no right any more, whatever program it runs: none of sudo's kind.

    Its user has changed, so the kernel keeps its files in /proc from that user; they are given back: ssh, which it
    starts, writes to one.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Have this process killed when `parent`, the process that forked it, ends; at once where it already has.

    A change of its user takes this away again. The
    signal comes when the *thread* ends that forked, so that must be one that lives as long as its process.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
