"""Migration groups: which of a base's nodes run its clones alike, so that these can move among them while they run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ravada_web.placement.types import Reason
from ravada_web.platforms import OF_HOST, Host, Platform, is_versioned, machine_age, machine_family

# Models of processors that a group may have, the least wanted first: by their age, and of one age those without
# TSX, which later microcode took away from hosts, and with the mitigations of 2018, after the others. Those of before
# 64 bits, and what is no certain model ("max"), are never chosen.
PROCESSORS = (
    *("qemu64", "kvm64", "Opteron_G1", "Conroe", "Opteron_G2", "Penryn", "Opteron_G3", "Nehalem", "Nehalem-IBRS"),
    *("Opteron_G4", "Westmere", "Westmere-IBRS", "Opteron_G5", "SandyBridge", "SandyBridge-IBRS"),
    *("IvyBridge", "IvyBridge-IBRS", "Haswell", "Haswell-IBRS", "Haswell-noTSX", "Haswell-noTSX-IBRS"),
    *("Broadwell", "Broadwell-IBRS", "Broadwell-noTSX", "Broadwell-noTSX-IBRS"),
    *("Skylake-Client", "Skylake-Client-IBRS", "Skylake-Client-noTSX-IBRS", "Dhyana", "EPYC", "EPYC-IBPB"),
    *("Skylake-Server", "Skylake-Server-IBRS", "Skylake-Server-noTSX-IBRS"),
    *("Cascadelake-Server", "Cascadelake-Server-noTSX", "Cooperlake", "EPYC-Rome"),
    *("Icelake-Client", "Icelake-Client-noTSX", "Icelake-Server", "Icelake-Server-noTSX", "EPYC-Milan"),
    *("SapphireRapids", "EPYC-Genoa", "GraniteRapids", "EPYC-Turin"),
)
_RANK = {model: rank for rank, model in enumerate(PROCESSORS)}
# What libvirt makes of a machine that names no type.
_DEFAULT_FAMILY = "pc"


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes, by their ids, that run a base's clones alike, and what these have there."""

    node_ids: tuple[int, ...]
    platform: Platform


def groups_of(hosts: Mapping[int, Host], chosen: Platform) -> list[Group]:
    """The migration groups of these nodes, the largest first; `chosen` is the machine type that the base's own machine
    names, and its processor where its maker chose one. Two nodes are in one group where a machine type and a
    processor are common to all of it; nodes of which nothing is known are left out by the caller."""
    alike: dict[Host, list[int]] = {}
    for node_id, host in hosts.items():
        alike.setdefault(host, []).append(node_id)
    found: list[list[Host]] = []
    for host in sorted(alike, key=lambda each: (-len(alike[each]), min(alike[each]))):
        joined = next((group for group in found if common([*group, host], chosen) is not None), None)
        if joined is None:
            found.append([host])
        else:
            joined.append(host)
    groups = [
        Group(tuple(sorted(id_ for host in group for id_ in alike[host])), common(group, chosen) or Platform())
        for group in found
    ]
    return sorted(groups, key=lambda group: (-len(group.node_ids), group.node_ids))


def common(hosts: Sequence[Host], chosen: Platform) -> Platform | None:
    """What a base's clones have on all of these hosts: its own machine type if they all offer it, else the newest that
    they all do; the best processor that they all give. None where there is none."""
    if len({(host.arch, host.virt_type) for host in hosts}) != 1:
        return None
    machine = _machine(frozenset.intersection(*(host.machines for host in hosts)), chosen.machine)
    is_passed = chosen.processor == OF_HOST and hosts[0].virt_type != "kvm"  # emulation cannot give a host's own
    if chosen.processor and not is_passed:
        return Platform(machine, chosen.processor) if machine else None
    processor = best_processor(frozenset.intersection(*(host.processors for host in hosts)))
    is_unlike = not processor and any(best_processor(host.processors) for host in hosts)
    return Platform(machine, processor) if machine and not is_unlike else None


def _machine(offered: Iterable[str], wanted: str) -> str:
    family = machine_family(wanted) if wanted else _DEFAULT_FAMILY
    of_family = [machine for machine in offered if is_versioned(machine) and machine_family(machine) == family]
    if wanted in of_family:
        return wanted
    older = [machine for machine in of_family if is_versioned(wanted) and machine_age(machine) < machine_age(wanted)]
    return max(older or of_family, key=machine_age, default="")


def apart(group: Sequence[Host], host: Host, chosen: Platform) -> Reason | None:
    """Why a host cannot be in a group of these; None where it can."""
    kinds = [(one.arch, one.virt_type) for one in (host, *group)]
    if len(set(kinds)) != 1:
        return Reason("apart_virtualization", {"virtualization": host.virt_type, "instead": group[0].virt_type})
    if common([*group, host], chosen) is not None:
        return None
    offered = frozenset.intersection(*(one.machines for one in (host, *group)))
    return Reason("apart_processor" if _machine(offered, chosen.machine) else "apart_machine")


def newest_like(machine: str, host: Host) -> str:
    """The newest machine type of the same family that the host offers; "" where there is none."""
    return _machine(host.machines, machine_family(machine))


def best_processor(offered: Iterable[str]) -> str:
    """The newest of these models that a group may have; "" where there is none."""
    return max((model for model in offered if model in _RANK), key=_RANK.__getitem__, default="")
