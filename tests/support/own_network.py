"""Of several test processes side by side, each has a network of its own: labs have fixed names and addresses."""

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

# The flags of unshare(2) for mounts and for networks.
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
SPACES = Path("/run/netns")


def pytest_configure(config: pytest.Config) -> None:
    """Leave the host's network before anything is started, where this is one of several and may do so."""
    if hasattr(config, "workerinput") and os.geteuid() == 0:
        leave_network()


def leave_network() -> None:
    """Have this thread, and all that it starts, see nothing but a loopback interface and its own named networks.

    Raises OSError.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    SPACES.mkdir(exist_ok=True)
    for command in (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "tmpfs", str(SPACES)],
        ["ip", "link", "set", "lo", "up"],
    ):
        subprocess.run(command, check=True)
