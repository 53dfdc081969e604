"""May a clone move to a node, and may it run meanwhile? The filters of placement, then what a running guest is held
to."""

from dataclasses import dataclass, field
from enum import StrEnum

from ravada_web.needs import Need
from ravada_web.placement.filters import first_reason
from ravada_web.placement.migration import newest_like
from ravada_web.placement.types import Demand, NodeState, Reason
from ravada_web.platforms import OF_HOST, Host, Platform, is_versioned


class Way(StrEnum):
    """How a clone can move: while it runs, only while it is off, or not at all."""

    LIVE = "live"
    COLD = "cold"
    NONE = "impossible"


@dataclass(frozen=True, slots=True)
class CloneTraits:
    """A clone that is to move, as far as that decides where to: its node, whether it runs, what it takes (in MiB), what
    its base needs, the kind of host and the platform that it runs on, what of its host was given to it, and why it
    moves only while it is off wherever to, if so."""

    node_id: int
    running: bool
    memory_mib: int
    disk_mib: int
    vcpus: int = 1
    needs: tuple[Need, ...] = ()
    arch: str = "x86_64"
    virt_type: str = ""
    platform: Platform = field(default_factory=Platform)
    host_devices: tuple[str, ...] = ()
    only_off: Reason | None = None


@dataclass(frozen=True, slots=True)
class MoveVerdict:
    """How a clone can move to a node; why not live, or not at all, to follow the node's name. One that is off moves
    cold for no reason where it could go there running too."""

    way: Way
    reason: Reason | None = None


def move_verdict(clone: CloneTraits, node: NodeState, host: Host | None) -> MoveVerdict:
    """How the clone can move to the node. `node` is as placement sees it for the clone's base and version, so that its
    replica is of that very version; `host` is what the node offers to running guests, None where it is not known.

    Whether the clone's own node can give it away is not asked here.
    """
    if reason := _kept_from(clone, node):
        return MoveVerdict(Way.NONE, reason)
    reason = held(clone, host)
    return MoveVerdict(Way.COLD if reason or not clone.running else Way.LIVE, reason)


def _kept_from(clone: CloneTraits, node: NodeState) -> Reason | None:
    """Why it cannot be on the node at all."""
    if node.id == clone.node_id:
        return Reason("move_same_node")
    if clone.host_devices:
        return Reason("move_host_devices", {"devices": list(clone.host_devices)})
    demand = Demand(
        count=1,
        memory_mib=clone.memory_mib,
        disk_mib=clone.disk_mib,
        start=clone.running,
        vcpus=clone.vcpus,
        needs=clone.needs,
    )
    return first_reason(node, demand)


def held(clone: CloneTraits, host: Host | None) -> Reason | None:
    """Why it cannot go on running on that host."""
    machine, processor = clone.platform.machine, clone.platform.processor
    if clone.only_off is not None:
        return clone.only_off
    if host is None:
        return Reason("move_host_unknown")
    if not clone.virt_type or not is_versioned(machine):
        return Reason("move_clone_unknown")
    if (clone.arch, clone.virt_type) != (host.arch, host.virt_type):
        return Reason("move_virtualization", {"virtualization": clone.virt_type, "instead": host.virt_type})
    if machine not in host.machines:
        newest = newest_like(machine, host)
        return Reason("move_machine", {"machine": machine, **({"newest": newest} if newest else {})})
    return _held_by_processor(processor, host)


def machine_there(machine: str, group: Platform, host: Host) -> str:
    """The machine type that a clone with this one has on a host that it comes to while it is off, which is another one
    only where it must be; `group` is what its base's clones are given there. "" where that is not known."""
    if not is_versioned(machine) or machine in host.machines:
        return machine
    return group.machine if group.machine in host.machines else newest_like(machine, host)


def _held_by_processor(processor: str, host: Host) -> Reason | None:
    if processor == OF_HOST:
        return Reason("move_processor_of_host")
    if not processor and host.virt_type == "kvm":
        return Reason("move_processor_unknown")
    # Emulation has the same default everywhere, by the machine type.
    if processor and processor not in host.processors:
        return Reason("move_processor", {"processor": processor})
    return None
