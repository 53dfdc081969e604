"""Direct VNC to a lab node's guests, without the product: the floor that consoles are compared with."""

import socket
import time
from pathlib import Path

import libvirt

from ravada_web.hypervisor.displays import read_displays
from tests.lab import LabNode
from tests.support.rfb import Viewer


def socket_of(connection: libvirt.virConnect, node: LabNode, uuid: str) -> Path:
    """The display's socket, as this host sees the lab node's folder."""
    return node.folder / read_displays(connection, uuid).socket.lstrip("/")


def first_picture(path: Path, seconds: float = 30) -> None:
    """Join a display and wait until it shows anything that is not black."""
    end = time.monotonic() + seconds
    viewer = Viewer()
    with socket.socket(socket.AF_UNIX) as plug:
        plug.settimeout(seconds)
        plug.connect(str(path))
        while not any(viewer.pixels):
            if time.monotonic() > end:
                raise TimeoutError(f"{path} shows nothing")
            frames = viewer.frames
            viewer.feed(plug.recv(1 << 20))
            if viewer.outgoing:
                plug.sendall(viewer.take())
                if viewer.ready:
                    plug.sendall(viewer.ask())
            elif viewer.frames > frames:
                plug.sendall(viewer.ask())


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far (proc(5): user and system time, in 1/100 s)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def resident_mib(pid: int) -> float:
    """The memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
