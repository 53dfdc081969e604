"""Whatever a libvirt answers is read as typed, bounded values, or is that libvirt's own failure: no other error."""

import html
import io
import struct
import zlib
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from ravada_web.hypervisor import domain_xml
from ravada_web.hypervisor.displays import LONGEST_SOCKET, displays_of, small
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.hardware.analysis import analyse
from ravada_web.hypervisor.tree import parse
from ravada_web.messages.foreign import is_path
from tests.support.fuzzing import fuzzed, spoilt

DOMAIN = (
    "<domain type='{}'><name>{}</name><memory unit='{}'>{}</memory><vcpu>{}</vcpu>"
    "<os><type arch='{}' machine='{}'>hvm</type><loader type='pflash'>{}</loader><nvram format='{}'>{}</nvram></os>"
    "<devices><disk type='file' device='disk'><driver type='{}'/><source file='{}'/><target dev='{}'/></disk>"
    "<graphics type='vnc'><listen type='socket' socket='{}'/></graphics>"
    "<graphics type='spice' port='{}' tlsPort='{}'><listen type='address' address='{}'/></graphics></devices></domain>"
)
FINE = (
    "kvm", "desk", "MiB", "512", "2", "x86_64", "pc-q35-7.2", "/code.fd", "raw", "/vars.fd", "qcow2", "/disk", "vda",
    "/run/vnc.sock", "5900", "5901", "::1",
)  # fmt: skip
documents = spoilt(DOMAIN, *FINE, escape=html.escape) | spoilt(DOMAIN, *FINE)


@fuzzed(0.06)
@given(documents)
def test_domains(xml: str) -> None:
    with suppress(HypervisorError):
        seen = displays_of(xml)
        assert not seen.socket or (is_path(seen.socket) and len(seen.socket.encode()) <= LONGEST_SOCKET)
        assert 0 <= seen.port <= 65535 and 0 <= seen.tls_port <= 65535 and seen.address.isprintable()
    with suppress(HypervisorError):
        hardware = domain_xml.read_hardware(xml)
        assert 0 <= hardware.memory_mib <= domain_xml.MOST_MEMORY_MIB and 0 <= hardware.vcpus <= domain_xml.MOST_VCPUS
    with suppress(HypervisorError):
        for disk in domain_xml.read_disks(xml):
            assert (not disk.source or is_path(disk.source)) and len(disk.target) <= 32 and len(disk.format) <= 64
    with suppress(HypervisorError):
        nvram = domain_xml.read_nvram(xml)
        assert nvram is None or is_path(nvram.path)


@fuzzed(0.03)
@given(documents)
def test_what_becomes_of_a_domain(xml: str) -> None:
    with suppress(HypervisorError):
        assert parse(analyse(xml).template).tag == "domain"


@fuzzed(0.03)
@given(
    st.text(max_size=60)
    | st.sampled_from(["<a>" * 60, "<!DOCTYPE a>", "\ud800", "<a\0/>", "<?xml version='1.1'?><a/>"])
)
def test_what_is_no_xml(text: str) -> None:
    with suppress(HypervisorError):
        parse(text, "a")


def png(width: int, height: int, kind: int, data: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack("!I", len(body)) + name + body + struct.pack("!I", zlib.crc32(name + body))

    head = struct.pack("!IIBBBBB", width, height, 8, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


SIZES = st.sampled_from([0, 1, 2, 640, 7681, 1 << 16, (1 << 31) - 1]) | st.integers(0, 40)
PPM = st.builds(
    lambda kind, width, height, most, data: b"P%d\n%d %d\n%d\n" % (kind, width, height, most) + data,
    st.integers(1, 7), SIZES, SIZES, st.sampled_from([0, 1, 255, 65535, 65536]), st.binary(max_size=200),
)  # fmt: skip
PNG = st.builds(png, SIZES, SIZES, st.integers(0, 7), st.binary(max_size=200))


@fuzzed(0.05)
@given(PPM | PNG | st.binary(max_size=60))
def test_screens(raw: bytes) -> None:
    with suppress(HypervisorError):
        assert small(io.BytesIO(raw))[8:12] == b"WEBP"
