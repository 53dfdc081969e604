"""What a node's hypervisor can do: read once, and again after the node was away."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import product
from typing import Any

import libvirt

from ravada_web.hypervisor.errors import is_code, translated
from ravada_web.hypervisor.offers import read_offers

MIB = 1 << 20
_LISTS = ("machines", "firmwares", "networks", "displays", "active_pools")
# The machine type that is asked about: the default is the oldest, for which there is no Secure Boot.
MACHINES: Mapping[str, tuple[str | None, ...]] = {"x86_64": ("q35", None)}
# Pools whose volumes are files in a folder of the host's own; devices of LVM, iSCSI or ZFS hold no file of ours.
_FOLDERS = ("dir", "fs")


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
    that have a folder; `offers` what bases may need, by the kind of need."""

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
    with translated():
        host = ET.fromstring(connection.getCapabilities())
        arch = host.findtext("./host/cpu/arch") or "x86_64"
        virt_type, domain = _domain_capabilities(connection, arch)
        machines = _machines(host, arch)
        info = connection.getInfo()
        return NodeFacts(
            host_uuid=host.findtext("./host/uuid") or "",
            hostname=connection.getHostname(),
            libvirt_version=_version(connection.getLibVersion()),
            qemu_version=_version(connection.getVersion()),
            cpus=info[2],
            memory_mib=info[1],
            arch=arch,
            virt_type=virt_type,
            emulator=domain.findtext("./path") or "",
            machines=machines,
            firmwares=_firmwares(domain),
            networks=read_networks(connection),
            pools=tuple(sorted(_pools(connection), key=lambda pool: pool.name)),
            displays=_enum(domain, "./devices/graphics/enum[@name='type']"),
            active_pools=read_active_pools(connection),
            offers=read_offers(connection, virt_type, machines, host, domain),
        )


def read_networks(connection: libvirt.virConnect) -> tuple[str, ...]:
    """The names of the networks that are active now. Raises HypervisorError."""
    with translated():
        active = connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
        return tuple(sorted(network.name() for network in active))


def read_active_pools(connection: libvirt.virConnect) -> tuple[str, ...]:
    """The names of the storage pools that are active now. Raises HypervisorError."""
    with translated():
        active = connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
        return tuple(sorted(pool.name() for pool in active))


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _domain_capabilities(connection: libvirt.virConnect, arch: str) -> tuple[str, ET.Element]:
    """KVM's capabilities where this libvirt offers KVM, else emulation's."""
    for virt_type, machine in product(("kvm", "qemu"), MACHINES.get(arch, (None,))):
        try:
            capabilities = ET.fromstring(connection.getDomainCapabilities(None, arch, machine, virt_type))
        except libvirt.libvirtError:
            continue
        if capabilities.findtext("./domain") == virt_type:
            return virt_type, capabilities
    return "qemu", ET.Element("domainCapabilities")


def _machines(host: ET.Element, arch: str) -> tuple[str, ...]:
    names = {machine.text for machine in host.findall(f"./guest/arch[@name='{arch}']//machine") if machine.text}
    return tuple(sorted(names))


def _firmwares(domain: ET.Element) -> tuple[str, ...]:
    return tuple(sorted({"bios", *_enum(domain, "./os/enum[@name='firmware']")}))


def _enum(domain: ET.Element, path: str) -> tuple[str, ...]:
    return tuple(value.text for value in domain.findall(f"{path}/value") if value.text)


def _mib(size: int) -> int:
    """Bytes in MiB; some network file systems claim EiB, which are kept as the 2 PiB that the database holds."""
    return min(size // MIB, (1 << 31) - 1)


def _pools(connection: libvirt.virConnect) -> list[PoolFacts]:
    facts = []
    for pool in connection.listAllStoragePools():
        try:
            path = _folder(ET.fromstring(pool.XMLDesc()))
            if not path:
                continue
            _state, capacity, _allocation, available = pool.info()
            active = bool(pool.isActive())
        except libvirt.libvirtError as error:
            if not is_code(error, libvirt.VIR_ERR_NO_STORAGE_POOL):
                raise
            continue  # it was removed while it was looked at
        facts.append(PoolFacts(pool.name(), path, active, _mib(capacity), _mib(available)))
    return facts


def _folder(pool: ET.Element) -> str:
    """The folder of a pool that is one; "" for devices, and for what is gone with a restart."""
    path = pool.findtext("./target/path") or ""
    return path if pool.get("type") in _FOLDERS and not path.startswith("/dev/") else ""
