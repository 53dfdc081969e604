"""Marks in the disks of running guests: written by their own QEMU, so that guests of firmware alone can have them."""

from tests.lab import LabNode

# Where a mark is on the disk, and how long it is, in bytes.
AT, LENGTH = 1 << 20, 1 << 16


def write_mark(node: LabNode, domain: str, pattern: int) -> None:
    """Fill a part of the running domain's disk with this byte."""
    device = "/machine/peripheral/virtio-disk0/virtio-backend"
    for command in (f"write -P {pattern:#x} {AT} {LENGTH}", "flush"):
        node.virsh("qemu-monitor-command", domain, "--hmp", f'qemu-io -d {device} "{command}"')


def has_mark(node: LabNode, path: str, pattern: int) -> bool:
    """Whether that part of the disk, which may be in use, has this byte all over."""
    command = ["qemu-io", "-r", "-U", "-c", f"read -P {pattern:#x} {AT} {LENGTH}", path]
    return node.run(command, check=False).returncode == 0
