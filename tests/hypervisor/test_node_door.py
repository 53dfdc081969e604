"""A libvirt that answers nonsense, too much, or too slowly: typed and bounded, or that libvirt's own failure."""

import io
import socket
import struct
import threading
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest

from ravada_web.hypervisor import displays, domain_xml, health
from ravada_web.hypervisor.connection import cut_sockets, open_connection
from ravada_web.hypervisor.displays import Displays, displays_of, small
from ravada_web.hypervisor.errors import HypervisorError, HypervisorUnreachable, reading
from ravada_web.hypervisor.facts import MOST_NAMES, MOST_POOLS, read_facts
from ravada_web.hypervisor.health import read_health
from ravada_web.hypervisor.tree import parse

CAPABILITIES = (
    "<capabilities><host><uuid>{uuid}</uuid><cpu><arch>{arch}</arch></cpu></host>"
    "<guest><arch name='x86_64'>{machines}</arch></guest></capabilities>"
)
GUEST = "<domainCapabilities><path>/usr/bin/qemu</path><domain>kvm</domain></domainCapabilities>"
PIB = 1 << 50


class Pool:
    def __init__(self, name: str, path: str, capacity: int = PIB) -> None:
        self._name, self._path, self._capacity = name, path, capacity

    def name(self) -> str:
        return self._name

    def XMLDesc(self) -> str:  # noqa: N802
        return f"<pool type='dir'><target><path>{self._path}</path></target></pool>"

    def info(self) -> list[int]:
        return [2, self._capacity, 0, self._capacity]

    def isActive(self) -> int:  # noqa: N802
        return 1


class Strange:
    """What read_facts asks a libvirt for, answered with what a hostile one may say."""

    def __init__(
        self, uuid: str = "", arch: str = "x86_64", machines: str = "", pools: list[Pool] | None = None
    ) -> None:
        self.capabilities = CAPABILITIES.format(uuid=uuid, arch=arch, machines=machines)
        self.guest, self.pools, self.hostname, self.info = GUEST, pools or [], "kvm1", ["x86_64", 16000, 4]

    def getCapabilities(self) -> str:  # noqa: N802
        return self.capabilities

    def getDomainCapabilities(self, *_asked: object) -> str:  # noqa: N802
        return self.guest

    def getInfo(self) -> list[Any]:  # noqa: N802
        return self.info

    def getHostname(self) -> str:  # noqa: N802
        return self.hostname

    def getLibVersion(self) -> int:  # noqa: N802
        return 9_000_000

    getVersion = getLibVersion  # noqa: N815

    def listAllStoragePools(self, _flags: int = 0) -> list[Pool]:  # noqa: N802
        return self.pools

    def listAllNetworks(self, _flags: int = 0) -> list[Pool]:  # noqa: N802
        return self.pools

    def listAllNWFilters(self) -> list[Pool]:  # noqa: N802
        return self.pools


def test_a_pool_of_two_pib_is_as_large_as_that() -> None:
    facts = read_facts(Strange(pools=[Pool("big", "/big", 2 * PIB), Pool("net", "/net", (1 << 64) - 1)]))
    assert [pool.capacity_mib for pool in facts.pools] == [1 << 31, (1 << 43) - 1]


def test_names_that_are_none_are_passed_over_and_lists_are_bounded() -> None:
    odd = ["a\0b", "\x1b[31m", "\ud800", "x" * 256, "a\u202eb", ""]
    some = [Pool(name, "/a") for name in odd] + [Pool(f"p{number}", "/a") for number in range(3000)]
    machines = "".join(f"<machine>{'m' * length}</machine>" for length in (1, 255, 256))
    facts = read_facts(Strange(machines=machines, pools=some))
    assert len(facts.pools) == MOST_POOLS and {pool.name for pool in facts.pools} <= {f"p{n}" for n in range(3000)}
    assert len(facts.networks) == MOST_NAMES and not {*odd} & {*facts.networks, *facts.active_pools}
    assert facts.machines == ("m", "m" * 255)


class Network(Pool):
    def __init__(self, name: str, within: str) -> None:
        super().__init__(name, "/a")
        self._within = within

    def XMLDesc(self) -> str:  # noqa: N802
        return f"<network>{self._within}</network>"


@pytest.mark.parametrize(
    ("within", "said"),
    [
        ("<forward mode='nat'/><ip address='192.168.122.1' netmask='255.255.255.0'/>", "nat 192.168.122.0/24"),
        (
            "<ip address='10.1.2.3' prefix='16'/><ip family='ipv6' address='fd00::1' prefix='64'/>",
            "isolated 10.1.0.0/16 fd00::/64",
        ),
        ("<forward mode='bridge'/><bridge name='br0'/>", "bridge br0"),
        ("<forward/><ip address='nowhere' prefix='24'/><ip/>", "nat"),
        ("<ip address='10.0.0.1' prefix='24'/>" * 100, "isolated" + " 10.0.0.0/24" * 8),
    ],
)
def test_networks_are_told_apart_by_how_guests_get_out_and_their_addresses(within: str, said: str) -> None:
    told = Strange()
    told.listAllNetworks = lambda _flags=0: [Network("lan", within)]  # type: ignore[method-assign]
    assert read_facts(told).subnets == {"lan": said}


def test_a_network_that_makes_no_sense_has_no_addresses() -> None:
    assert read_facts(Strange(pools=[Pool("p", "/a")])).subnets == {}


@pytest.mark.parametrize("path", ["", "relative", "/" + "x" * 5000, "/dev/vg"])
def test_a_pool_without_a_folder_is_none(path: str) -> None:
    assert read_facts(Strange(pools=[Pool("p", path)])).pools == ()


def test_two_pools_of_one_name_are_one() -> None:
    assert len(read_facts(Strange(pools=[Pool("p", "/a"), Pool("p", "/b")])).pools) == 1


@pytest.mark.parametrize("uuid", ["x" * 37, "9" * 5000, "a b", "../../x"])
def test_a_host_uuid_that_is_none_is_not_kept(uuid: str) -> None:
    assert read_facts(Strange(uuid=uuid)).host_uuid == ""


def test_a_hosts_own_name_is_cut_and_clean() -> None:
    strange = Strange()
    strange.hostname = "\x1b]0;x\x07" + "h" * 5000 + "\ud800"
    facts = read_facts(strange)
    assert len(facts.hostname) <= 253 and facts.hostname.isprintable()


@pytest.mark.parametrize(
    "said",
    ["", "<a/>", "<capabilities>", "<!DOCTYPE a [<!ENTITY b 'c'>]><capabilities/>",
     "<capabilities>\ud800</capabilities>",
     "<capabilities>" + "<a>" * 60, "<capabilities>" + "<a/>" * 90_000 + "</capabilities>",
     "<capabilities>" + "x" * (5 << 20) + "</capabilities>"],
    ids=["nothing", "another", "half", "entities", "half a character", "deep", "many", "large"],
)  # fmt: skip
def test_capabilities_that_are_none(said: str) -> None:
    for attribute in ("capabilities", "guest"):
        strange = Strange()
        setattr(
            strange, attribute, said.replace("capabilities", "domainCapabilities") if attribute == "guest" else said
        )
        with pytest.raises(HypervisorError):
            read_facts(strange)


@pytest.mark.parametrize("info", [["x", -1, 4], ["x", 16000, 1 << 40], ["x", 1 << 80, 4], ["x"], ["x", None, 4]])
def test_figures_that_no_host_has(info: list[Any]) -> None:
    strange = Strange()
    strange.info = info
    with pytest.raises(HypervisorError):
        read_facts(strange)


def test_an_architecture_that_would_be_a_path_in_xml_is_none() -> None:
    assert read_facts(Strange(arch="x']/*['")).arch == "x86_64"


class Domain:
    def __init__(self, name: str | None) -> None:
        self._name = name

    def name(self) -> str:
        if self._name is None:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return self._name

    def UUIDString(self) -> str:  # noqa: N802
        return f"u{id(self)}"


class Crowd:
    """A libvirt with these domains, all running."""

    def __init__(self, names: list[str | None]) -> None:
        self._domains = [Domain(name) for name in names]

    def getAllDomainStats(self, *_asked: object) -> list[tuple[Domain, dict[str, int]]]:  # noqa: N802
        return [(domain, {"state.state": 1}) for domain in self._domains]


def test_a_domain_of_another_name_than_names_are_has_none() -> None:
    seen = read_health(Crowd(["fine", "a\x1b[2J", "x" * 300, None])).domains.values()
    assert [domain.name for domain in seen] == ["fine", "", "", ""]


def test_more_domains_than_a_host_has_are_its_own_failure() -> None:
    with pytest.raises(HypervisorError):
        read_health(Crowd(["a"] * (health.MOST_DOMAINS + 1)))


GRAPHICS = (
    "<domain><devices><graphics type='vnc'><listen type='socket' socket='{0}'/></graphics>"
    "<graphics type='spice' port='{1}' tlsPort='{1}'><listen type='address' address='::1'/></graphics>"
    "</devices></domain>"
)


def test_displays_are_read() -> None:
    assert displays_of(GRAPHICS.format("/run/vnc.sock", "5900")) == Displays("/run/vnc.sock", "::1", 5900, 5900)


@pytest.mark.parametrize("path", ["vnc.sock", "/a:10.0.0.1:22", "/" + "x" * 107, "/a&#10;b", "-L/a", ""])
def test_a_socket_that_ssh_would_read_as_something_else_is_none(path: str) -> None:
    assert displays_of(GRAPHICS.format(path, "5900")).socket == ""


@pytest.mark.parametrize("port", ["-1", "0", "65536", "9" * 5000, "٥٩", "5900x", ""])
def test_a_port_that_is_none_is_closed(port: str) -> None:
    assert displays_of(GRAPHICS.format("/a", port)).port == 0


@pytest.mark.parametrize("memory", ["-5", "1e9", "9" * 5000, "٣", str(1 << 70), "x"])
def test_memory_that_no_guest_has(memory: str) -> None:
    with pytest.raises(HypervisorError):
        domain_xml.read_hardware(f"<domain><memory>{memory}</memory></domain>")


def test_memory_in_a_unit_that_is_none() -> None:
    with pytest.raises(HypervisorError):
        domain_xml.read_hardware("<domain><memory unit='zorkmid'>5</memory></domain>")


def png(width: int, height: int, body: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + name + data + struct.pack("!I", zlib.crc32(name + data))

    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "raw",
    [png(9000, 9000, zlib.compress(b"")), png(0, 0, b""), b"P6\n9000 9000\n255\n",
     b"P6\n0 0\n255\n", b"P6\n-1 5\n255\n", b"P6\n1 1\n99999999999\n", b"P6\n" + b"9" * 5000 + b" 1\n255\n", b"P4", b"",
     b"P6\n640 480\n255\nshort", b"GIF89a" + bytes(100)],
)  # fmt: skip
def test_a_picture_that_is_none_is_refused_before_it_takes_memory(raw: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(HypervisorError):
            small(io.BytesIO(raw))
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_screen_becomes_a_small_picture() -> None:
    for raw in (b"P6\n640 400\n255\n" + bytes(640 * 400 * 3), png(64, 40, zlib.compress(bytes(40 * 193)))):
        assert small(io.BytesIO(raw))[8:12] == b"WEBP"


class Drip:
    """A guest whose screen comes a byte at a time, without end."""

    def newStream(self) -> "Drip":  # noqa: N802
        return self

    def lookupByUUIDString(self, _uuid: str) -> "Drip":  # noqa: N802
        return self

    def screenshot(self, _stream: "Drip", _screen: int) -> None:
        pass

    def recv(self, _most: int) -> bytes:
        return b"P"

    def abort(self) -> None:
        pass


def test_a_screen_that_comes_by_the_byte_ends_in_time() -> None:
    with pytest.raises(HypervisorError) as refused:
        displays.picture(Drip(), "u", deadline=0.2)
    assert refused.value.message.kind == "hypervisor.no_answer"


def test_whatever_cannot_be_made_of_an_answer_is_an_error_of_ours() -> None:
    for error in (
        KeyError("a"),
        RecursionError(),
        SyntaxError("invalid predicate"),
        AttributeError("text"),
        OverflowError(),
    ):
        with pytest.raises(HypervisorError), reading():
            raise error


def test_a_wait_for_a_libvirt_is_cut(tmp_path: Path) -> None:
    path, heard = str(tmp_path / "s"), threading.Event()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as plug:
        listener.bind(path)
        listener.listen()
        plug.connect(path)

        def wait() -> None:
            plug.recv(1)
            heard.set()

        threading.Thread(target=wait, daemon=True).start()
        cut_sockets(str(tmp_path / "other"))
        assert not heard.wait(0.1)
        cut_sockets(path)
        assert heard.wait(30)


def test_what_fails_after_the_time_is_over_did_not_answer() -> None:
    over = threading.Event()
    with pytest.raises(HypervisorUnreachable) as late, open_connection("test:///default", within=0.05) as connection:
        over.wait(0.5)
        connection.lookupByName("no such domain")
    assert late.value.hangs


def test_a_domain_is_what_parse_expects() -> None:
    assert parse("<pool/>", "pool").tag == "pool"
    with pytest.raises(HypervisorError):
        parse("<pool/>")
