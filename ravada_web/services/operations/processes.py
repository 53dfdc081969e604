"""Processes named so that another one on the host can tell whether they still live."""

import os
import socket
from pathlib import Path


def this_process() -> str:
    """This process, so that another one on this host can tell whether it still lives: host, pid, start time."""
    return f"{socket.gethostname()}:{os.getpid()}:{process_start(os.getpid())}"


def process_start(pid: int) -> str:
    """The process's start in clock ticks since boot (proc(5), field 22), or "" when there is no such process.

    A zombie counts as gone.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
