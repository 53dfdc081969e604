"""Processes named so that others on the host can check whether they still live."""

import os
import socket
from pathlib import Path


def this_process() -> str:
    """This process, so that others on this host can check whether it still lives: host, pid, start time."""
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
