"""How a node's domains are now: one call that waits for none of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import libvirt

from ravada_web.hypervisor.errors import HypervisorError, is_code, reading
from ravada_web.messages import NOTHING, Message, message
from ravada_web.messages.foreign import is_name

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "running",
    libvirt.VIR_DOMAIN_SHUTOFF: "stopped",
    libvirt.VIR_DOMAIN_CRASHED: "stopped",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "paused",
}
# Off since its guest, or somebody, ended it. Of what fell while libvirt itself did not run, such as with its host, it
# knows no reason.
_ENDED = (
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN,
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED,
    libvirt.VIR_DOMAIN_SHUTOFF_MIGRATED,
    libvirt.VIR_DOMAIN_SHUTOFF_SAVED,
    libvirt.VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT,
)
# libvirt's own protocol carries no longer lists.
MOST_DOMAINS = 16384
_STOPPED_BY_QEMU = message("hypervisor.paused_by_error")
_PAUSED = {
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: message("hypervisor.paused_for_space"),
    # What libvirt says where QEMU reports an internal error, such as KVM failing under it.
    libvirt.VIR_DOMAIN_PAUSED_UNKNOWN: _STOPPED_BY_QEMU,
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: _STOPPED_BY_QEMU,
}


@dataclass(frozen=True)
class DomainState:
    """A domain as seen: its name ("" where it could not be found by it again), the state in our words, and why, where
    that is worth saying.

    `out_of_space` is one that QEMU has paused since a disk could not be written: by libvirt's defaults that is so where
    there was no space for it, any other error is told to the guest (QEMU's werror=enospc). `ended` is one that is off
    since libvirt has seen its guest, or somebody, end it.
    """

    name: str
    state: str
    reason: Message = NOTHING
    out_of_space: bool = False
    ended: bool = False


@dataclass(frozen=True)
class NodeHealth:
    """The node's domains by UUID."""

    domains: Mapping[str, DomainState]


def read_health(connection: libvirt.virConnect) -> NodeHealth:
    """The states of all domains in one call, from the outside, so that a stuck one does not block. Raises
    HypervisorError.
    """
    with reading():
        seen = _all_stats(connection)
        if len(seen) > MOST_DOMAINS:
            raise HypervisorError(message("hypervisor.too_many_domains", count=len(seen)))
        return NodeHealth({domain.UUIDString(): _state(_name(domain), stats) for domain, stats in seen})


def _name(domain: libvirt.virDomain) -> str:
    try:
        name = domain.name()
    except UnicodeDecodeError:
        return ""
    return name if is_name(name) else ""


def _all_stats(connection: libvirt.virConnect) -> list[tuple[libvirt.virDomain, dict[str, int]]]:
    groups = libvirt.VIR_DOMAIN_STATS_STATE
    try:
        flags = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        return list(connection.getAllDomainStats(groups, flags))
    except libvirt.libvirtError as error:
        if not is_code(
            error,
            libvirt.VIR_ERR_NO_SUPPORT,
            libvirt.VIR_ERR_INVALID_ARG,
            libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        ):
            raise
    return [
        (domain, dict(zip(("state.state", "state.reason"), domain.state(), strict=False)))
        for domain in connection.listAllDomains()
    ]


def _state(name: str, stats: dict[str, int]) -> DomainState:
    state = _STATES.get(stats.get("state.state", -1), "stopped")
    reason = stats.get("state.reason", -1)
    if state != "paused":
        return DomainState(name, state, ended=state == "stopped" and reason in _ENDED)
    return DomainState(name, state, _PAUSED.get(reason, NOTHING), reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR)
