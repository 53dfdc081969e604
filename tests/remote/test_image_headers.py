"""The headers of disk images, read by us: what each is, and what other files it names."""

import random

import pytest

from ravada_web.remote import image_headers
from ravada_web.remote.image_headers import Header
from tests.support.images import descriptor, qcow2, vmdk_around


def read(raw: bytes) -> Header:
    return image_headers.read(raw, len(raw))


@pytest.mark.parametrize(
    ("raw", "image_format", "refers"),
    [
        (bytes(4096), "raw", False),
        (b"root:*:1:0:::::\n" * 50, "raw", False),
        (b"# a script\necho version=1\n", "raw", False),
        (b"", "raw", False),
        (qcow2(), "qcow2", False),
        (b"QFI\xfb\0\0\0\x01" + bytes(60), "qcow", False),
        (b"QFI\xfb\0\0\0\x01" + b"\0\0\0\0\0\0\0\x48" + bytes(60), "qcow", True),
        (b"LUKS\xba\xbe\0\x02", "luks", False),
        (descriptor("/etc/shadow"), "vmdk", True),
        (b"#\n\n  # x\r\nVersion=1\n", "vmdk", True),
        (vmdk_around(descriptor("/etc/shadow")), "vmdk", True),
        (b"KDMV\1\0\0\0\3\0\0\0" + b"\0\x80\0\0\0\0\0\0", "vmdk", False),
        (b"COWD" + bytes(60), "vmdk", True),
        (b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0") + b"\x7f\x10\xda\xbe", "vdi", False),
        (b"vhdxfile", "vhdx", False),
        (b"conectix", "vpc", False),
        (b"QED\0" + bytes(60), "qed", False),
        (b"QED\0" + bytes(12) + b"\x01" + bytes(60), "qed", True),
        (b"WithoutFreeSpace", "parallels", False),
        (b"WithouFreSpacExt", "parallels", False),
    ],
)
def test_what_an_image_is(raw: bytes, image_format: str, refers: bool) -> None:
    seen = read(raw)
    assert (seen.format, seen.refers) == (image_format, refers)


@pytest.mark.parametrize("name", [b"/etc/shadow", b"nbd:10.0.0.1:9", b'json:{"driver":"file"}', b"a,b=c.img", b"-x"])
def test_a_qcow2_names_its_backing_and_its_data_file(name: bytes) -> None:
    assert read(qcow2(backing=name)).backing_file == name.decode()
    assert read(qcow2(data_file=name)).data_file == name.decode()
    assert read(qcow2(data_file=name, version=3)).backing_file is None


def test_what_cannot_be_read_of_a_name_is_a_name_all_the_same() -> None:
    assert read(qcow2(features=4)).data_file
    assert read(qcow2(backing=b"/x")[:1024]).backing_file
    assert read(qcow2(backing=b"\xff\x1b[2J")).backing_file == "� [2J"


@pytest.mark.parametrize("encryption", [1, 2, 77])
def test_an_encrypted_qcow2(encryption: int) -> None:
    assert read(qcow2(encryption=encryption)).encrypted


def test_a_header_that_cannot_be() -> None:
    for raw in (qcow2(features=2), qcow2(cluster_bits=60), qcow2(version=9), qcow2()[:40]):
        assert read(raw).corrupt
    assert not read(qcow2()).corrupt


@pytest.mark.parametrize("size", ["l1_entries", "refcount_clusters", "snapshots"])
def test_tables_without_measure(size: str) -> None:
    assert read(qcow2(**{size: (1 << 32) - 1})).huge  # type: ignore[arg-type]
    assert not read(qcow2(**{size: 100})).huge  # type: ignore[arg-type]


def test_no_header_whatever_it_holds_breaks_its_reader() -> None:
    chance = random.Random(16)
    seeds = (qcow2(), qcow2(backing=b"/x"), qcow2(data_file=b"/x"), descriptor("/x"), vmdk_around(descriptor("/x")))
    for _round in range(5000):
        raw = bytearray(chance.choice(seeds)[: chance.choice((0, 3, 30, 71, 90, 200, 65536))])
        for _change in range(chance.randrange(20)):
            if raw:
                raw[chance.randrange(min(len(raw), 200))] = chance.choice((0, 1, 255, chance.randrange(256)))
        seen = read(bytes(raw))
        assert all(len(name) < 600 for name in (seen.backing_file, seen.data_file) if name is not None)
