"""What a disk image says of itself, read from its first bytes by us: no program that follows names in it has seen it
before that. Pure."""

import struct
from dataclasses import dataclass

from ravada_web.messages.foreign import printable

# So much of an image is read: a qcow2's header is in its first cluster, mostly of 64 KiB.
HEADER_BYTES = 65536
# The largest disk that a base may have: no file of ext4 is larger.
MOST_VIRTUAL = 16 << 40
# What QEMU itself takes at most of a qcow2's tables, in bytes, and of its snapshots.
MOST_L1 = 32 << 20
MOST_REFCOUNT_TABLE = 8 << 20
MOST_SNAPSHOTS = 65536
LUKS = b"LUKS\xba\xbe"

# By their first bytes, or by those at a place: the formats that QEMU would find by looking.
_MAGIC = (
    (0, b"QFI\xfb\x00\x00\x00\x01", "qcow"),
    (0, b"QFI\xfb", "qcow2"),
    (0, LUKS, "luks"),
    (0, b"KDMV", "vmdk"),
    (0, b"COWD", "vmdk"),
    (0x40, b"\x7f\x10\xda\xbe", "vdi"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vpc"),
    (0, b"QED\x00", "qed"),
    (0, b"WithoutFreeSpace", "parallels"),
    (0, b"WithouFreSpacExt", "parallels"),
    (0, b"Bochs Virtual HD Image", "bochs"),
    (0, b"#!/bin/sh\n#V2.0 Format\n", "cloop"),
)
# The bits of a qcow2's incompatible features, and the types of its header extensions.
_CORRUPT, _DATA_FILE = 2, 4
_END, _DATA_FILE_NAME = 0, 0x44415441
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_FEATURES = struct.Struct(">QQQII")
_LONGEST_NAME = 1023


@dataclass(frozen=True)
class Header:
    """What an image's header says: its format ("raw" where it is that of none), and its virtual size in bytes (0 where
    that is not read here). A qcow2 names its backing and data files; `refers` is whether an image of another format
    names any. `huge` is whether its tables are larger than QEMU takes."""

    format: str
    virtual_size: int = 0
    backing_file: str | None = None
    data_file: str | None = None
    encrypted: bool = False
    corrupt: bool = False
    refers: bool = False
    huge: bool = False


def read(raw: bytes, size: int) -> Header:
    """Read the first bytes of a file of `size` bytes."""
    known = next((name for at, magic, name in _MAGIC if raw[at : at + len(magic)] == magic), "")
    if known == "qcow2":
        return _qcow2(raw)
    if not known and _is_descriptor(raw):
        return Header("vmdk", refers=True)
    if known:
        return Header(known, virtual_size=size if known == "luks" else 0, refers=_refers(known, raw))
    return Header("raw", virtual_size=size)


def _is_descriptor(raw: bytes) -> bool:
    """Whether QEMU would take it for a VMDK's text, which names the files that hold the disk."""
    for line in raw.split(b"\n"):
        text = line.strip().lower()
        if text.startswith(b"version="):
            return True
        if text and not text.startswith(b"#"):
            return False
        if b"descriptorfile" in text:
            return True
    return False


def _refers(known: str, raw: bytes) -> bool:
    """Whether an image of another format names other files."""
    if known == "vmdk":  # without a capacity of its own, its descriptor says where the disk is
        return raw[12:20] == bytes(8)
    if known == "qcow":
        return raw[8:16] != bytes(8)
    return known == "qed" and bool(raw[16:17] and raw[16] & 1)


def _qcow2(raw: bytes) -> Header:
    if len(raw) < _HEADER.size:
        return Header("qcow2", corrupt=True)
    (
        _magic, version, backing_at, backing_length, cluster_bits, virtual_size, encryption,
        l1_entries, _l1_at, _refcounts_at, refcount_clusters, snapshots, _snapshots_at,
    ) = _HEADER.unpack_from(raw)  # fmt: skip
    features, extensions_at = 0, _HEADER.size
    if version >= 3 and len(raw) >= _HEADER.size + _FEATURES.size:
        features, _compatible, _autoclear, _order, extensions_at = _FEATURES.unpack_from(raw, _HEADER.size)
    sane = version in (2, 3) and 9 <= cluster_bits <= 21
    return Header(
        "qcow2",
        virtual_size=virtual_size,
        backing_file=_name(raw[backing_at : backing_at + min(backing_length, _LONGEST_NAME)]) if backing_at else None,
        data_file=_data_file(raw, extensions_at) if features & _DATA_FILE else None,
        encrypted=encryption != 0,
        corrupt=bool(features & _CORRUPT) or not sane,
        huge=l1_entries * 8 > MOST_L1
        or refcount_clusters << min(cluster_bits, 21) > MOST_REFCOUNT_TABLE
        or snapshots > MOST_SNAPSHOTS,
    )


def _data_file(raw: bytes, at: int) -> str:
    """The name in the header extension that has it; QEMU may be told another one."""
    while at + 8 <= len(raw):
        kind, length = struct.unpack_from(">II", raw, at)
        if kind == _END:
            break
        if kind == _DATA_FILE_NAME:
            return _name(raw[at + 8 : at + 8 + min(length, _LONGEST_NAME)])
        at += 8 + (length + 7) // 8 * 8
    return _name(b"")


def _name(raw: bytes) -> str:
    return printable(raw.decode(errors="replace")) or "…"
