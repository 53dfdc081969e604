"""What a node's hypervisor can do: read once, and again after the node was away."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from ipaddress import ip_network
from itertools import product
from typing import Any

import libvirt

from ravada_web.hypervisor.errors import HypervisorError, is_code, reading
from ravada_web.hypervisor.offers import read_offers
from ravada_web.hypervisor.tree import MOST_CAPABILITIES, parse
from ravada_web.messages.foreign import MOST_BYTES, is_name, is_path, names, printable, whole, word

MIB = 1 << 20
_LISTS = ("machines", "firmwares", "networks", "displays", "active_pools")
# The machine type that is asked about: the default is the oldest, for which there is no Secure Boot.
MACHINES: Mapping[str, tuple[str | None, ...]] = {"x86_64": ("q35", None)}
# Pools whose volumes are files in a folder of the host's own; devices of LVM, iSCSI or ZFS hold no file of ours.
_FOLDERS = ("dir", "fs")
# Far more than a host has: of each list of names, pools, processors, and memory (1 PiB).
MOST_NAMES, MOST_SUBNETS, MOST_POOLS, MOST_CPUS, MOST_MEMORY_MIB = 2000, 8, 200, 1 << 16, 1 << 30
LONGEST_HOSTNAME = 253
_UUID = re.compile(r"[0-9a-fA-F-]{32,36}")


@dataclass(frozen=True)
class PoolFacts:
    """A storage pool that is a folder; sizes in MiB as libvirt last refreshed them."""

    name: str
    path: str
    active: bool
    capacity_mib: int
    free_mib: int


@dataclass(frozen=True)
class NodeFacts:
    """What a node is and offers. `virt_type` is "kvm" only where libvirt offers it, else "qemu" (emulation, slow);
    `machines` are the machine types' names, aliases included; `firmwares` of "bios" and "efi"; `displays` of "vnc",
    "spice" and what else its QEMU shows guests by; `active_pools` are the names of all active pools, `pools` those
    that have a folder; `offers` what bases may need, by the kind of need; `subnets` how guests in each network get to
    others, and their addresses, as far as libvirt hands them out ("nat 192.168.122.0/24", "bridge br0")."""

    host_uuid: str
    hostname: str
    libvirt_version: str
    qemu_version: str
    cpus: int
    memory_mib: int
    arch: str
    virt_type: str
    emulator: str
    machines: tuple[str, ...]
    firmwares: tuple[str, ...]
    networks: tuple[str, ...]
    pools: tuple[PoolFacts, ...]
    displays: tuple[str, ...] = ()
    active_pools: tuple[str, ...] = ()
    offers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    subnets: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "NodeFacts":
        """The facts that `to_dict` made this of; what else was kept beside them is passed over."""
        lists = {key: tuple(stored.get(key, ())) for key in _LISTS}
        known = {each.name: stored[each.name] for each in fields(cls) if each.name in stored}
        return cls(**{**known, **lists, "pools": tuple(PoolFacts(**pool) for pool in stored["pools"])})


def read_facts(connection: libvirt.virConnect) -> NodeFacts:
    """Ask a libvirt what it is and offers. Raises HypervisorError."""
    with reading():
        host = parse(connection.getCapabilities(), "capabilities", MOST_CAPABILITIES)
        arch = word(host.findtext("./host/cpu/arch"), otherwise="x86_64")
        virt_type, domain = _domain_capabilities(connection, arch)
        machines = _machines(host, arch)
        info = connection.getInfo()
        return NodeFacts(
            host_uuid=_uuid(host.findtext("./host/uuid") or ""),
            hostname=printable(connection.getHostname())[:LONGEST_HOSTNAME],
            libvirt_version=_version(connection.getLibVersion()),
            qemu_version=_version(connection.getVersion()),
            cpus=whole(info[2], MOST_CPUS),
            memory_mib=whole(info[1], MOST_MEMORY_MIB),
            arch=arch,
            virt_type=virt_type,
            emulator=_path(domain.findtext("./path")),
            machines=machines,
            firmwares=_firmwares(domain),
            networks=read_networks(connection),
            pools=tuple(sorted(read_pools(connection), key=lambda pool: pool.name)),
            displays=_enum(domain, "./devices/graphics/enum[@name='type']"),
            active_pools=read_active_pools(connection),
            subnets=_subnets(connection),
            offers=read_offers(connection, virt_type, machines, host, domain),
        )


def read_networks(connection: libvirt.virConnect) -> tuple[str, ...]:
    """The names of the networks that are active now. Raises HypervisorError."""
    with reading():
        active = connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
        return names((network.name() for network in active), MOST_NAMES)


def _subnets(connection: libvirt.virConnect) -> dict[str, str]:
    found: dict[str, str] = {}
    for network in connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)[:MOST_NAMES]:
        with suppress(libvirt.libvirtError, HypervisorError):  # it was stopped meanwhile, or makes no sense
            name, seen = network.name(), parse(network.XMLDesc(), "network")
            if is_name(name):
                found[name] = " ".join(_subnet(seen))
    return found


def _subnet(network: ET.Element) -> Iterator[str]:
    forward, bridge = network.find("./forward"), network.find("./bridge")
    mode = word(forward.get("mode"), otherwise="nat") if forward is not None else "isolated"
    yield mode
    if mode == "bridge" and bridge is not None:
        yield word(bridge.get("name"))
    for element in network.findall("./ip")[:MOST_SUBNETS]:
        mask = element.get("prefix") or element.get("netmask") or ""
        with suppress(ValueError):
            yield str(ip_network(f"{element.get('address')}/{mask}", strict=False))


def read_active_pools(connection: libvirt.virConnect) -> tuple[str, ...]:
    """The names of the storage pools that are active now. Raises HypervisorError."""
    with reading():
        active = connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
        return names((pool.name() for pool in active), MOST_NAMES)


def _uuid(said: str) -> str:
    """A host's UUID; "" for what is none."""
    return said if _UUID.fullmatch(said) else ""


def _path(said: str | None) -> str:
    """An absolute path; "" for what is none."""
    return said if said and is_path(said) else ""


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _domain_capabilities(connection: libvirt.virConnect, arch: str) -> tuple[str, ET.Element]:
    """KVM's capabilities where this libvirt offers KVM, else emulation's."""
    for virt_type, machine in product(("kvm", "qemu"), MACHINES.get(arch, (None,))):
        try:
            told = connection.getDomainCapabilities(None, arch, machine, virt_type)
        except libvirt.libvirtError:
            continue
        capabilities = parse(told, "domainCapabilities", MOST_CAPABILITIES)
        if capabilities.findtext("./domain") == virt_type:
            return virt_type, capabilities
    return "qemu", ET.Element("domainCapabilities")


def _machines(host: ET.Element, arch: str) -> tuple[str, ...]:
    return names((machine.text for machine in host.findall(f"./guest/arch[@name='{arch}']//machine")), MOST_NAMES)


def _firmwares(domain: ET.Element) -> tuple[str, ...]:
    return names(("bios", *_enum(domain, "./os/enum[@name='firmware']")), MOST_NAMES)


def _enum(domain: ET.Element, path: str) -> tuple[str, ...]:
    return names((value.text for value in domain.findall(f"{path}/value")), MOST_NAMES)


def _mib(size: int) -> int:
    """Bytes in MiB; some network file systems claim 16 EiB, which are kept as the 8 EiB that files can have."""
    return whole(min(size, MOST_BYTES)) // MIB


def read_pools(connection: libvirt.virConnect) -> list[PoolFacts]:
    """The storage pools that are folders; one whose name or folder cannot be used again is passed over."""
    facts: dict[str, PoolFacts] = {}
    for pool in connection.listAllStoragePools():
        try:
            name, path = pool.name(), _folder(parse(pool.XMLDesc(), "pool"))
            if not (path and is_name(name)):
                continue
            _state, capacity, _allocation, available = pool.info()
            active = bool(pool.isActive())
        except libvirt.libvirtError as error:
            if not is_code(error, libvirt.VIR_ERR_NO_STORAGE_POOL):
                raise
            continue  # it was removed while it was looked at
        facts[name] = PoolFacts(name, path, active, _mib(capacity), _mib(available))
        if len(facts) == MOST_POOLS:
            break
    return list(facts.values())


def _folder(pool: ET.Element) -> str:
    """The folder of a pool that is one; "" for devices, and for what is gone with a restart."""
    path = _path(pool.findtext("./target/path"))
    return path if pool.get("type") in _FOLDERS and not path.startswith("/dev/") else ""
