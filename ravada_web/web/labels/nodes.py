"""States, facts and figures of nodes."""

from ravada_web.models import Away, Node, Observed, Remains, ServiceState, Trust
from ravada_web.services.nodes.link_states import Shown
from ravada_web.web.labels.look import Look, look_of
from ravada_web.web.rendering import later as _l

STATES = {
    "unknown": Look(_l("Not checked yet"), "secondary", "help-circle"),
    "up": Look(_l("Up"), "green", "circle-check"),
    "degraded": Look(_l("Degraded"), "orange", "alert-triangle"),
    "down": Look(_l("Down"), "red", "plug-connected-x"),
}
# How one that is down is away.
AWAY = {
    Away.REFUSES: Look(_l("Down, refuses SSH"), "red", "plug-connected-x"),
    Away.SILENT: STATES["down"],
    Away.OFF: Look(_l("Off"), "secondary", "power"),
}
SHUT_DOWN = Look(_l("Powered off"), "secondary", "power")
OVERDUE = Look(_l("Unknown"), "orange", "help-circle")
QUARANTINED = Look(_l("Quarantined"), "red", "shield-x")
SERVICE_STATES = {
    "new": Look(_l("New"), "blue", "clock"),
    "draining": Look(_l("Draining"), "orange", "clock"),
    "maintenance": Look(_l("Maintenance"), "orange", "settings"),
    "disabled": Look(_l("Disabled"), "secondary", "circle-off"),
    "given_up": Look(_l("Given up"), "secondary", "circle-off"),
}
LINKS = {
    True: Look(_l("Up"), "green", "circle-check"),
    False: Look(_l("Down"), "red", "plug-connected-x"),
    None: Look(_l("Unknown"), "secondary", "help-circle"),
}
FACTS = {
    "hostname": _l("Hostname"),
    "system": _l("Distribution"),
    "processor": _l("Processor"),
    "arch": _l("Architecture"),
    "virt_type": _l("Virtualization"),
    "qemu_version": _l("QEMU"),
    "libvirt_version": _l("libvirt"),
    "firmwares": _l("Firmware"),
    "networks": _l("Networks"),
}
# What bases may need, by the kind of need.
OFFERS = {"tpm": _l("Emulated TPM"), "bridge": _l("Bridges")}
# What happens to what clones left on a node, by why they did.
LEFT = {
    "deleted": _l("Deleted there as soon as the node answers"),
    "made_again": _l("Made again elsewhere: deleted there as soon as the node answers"),
    "moved": _l("Moved to, or stayed on, another node: deleted there as soon as the node answers"),
    "arriving": _l("Being moved here"),
    "given_up": _l("Given up with the node: kept there until you decide"),
}
# What orphans are.
ORPHANS = {
    "machine": _l("Orphan: a virtual machine that no desktop is known for"),
    "clone_files": _l("Orphan: disks of a desktop, without a virtual machine"),
    "base_files": _l("Orphan: files of a base that has no copy here"),
    "unfinished": _l("Orphan: a file that was never finished"),
}
REST_STEPS = {
    "emptying": Look(_l("Going to rest"), "blue", "loader-2", busy=True),
    "going_off": Look(_l("Going to rest"), "blue", "loader-2", busy=True),
    "resting": Look(_l("Resting"), "blue", "power"),
    "waking": Look(_l("Being woken"), "green", "loader-2", busy=True),
}
# What the schedule says of a node where it is followed, and where it is not.
ACTING = {
    "rest": Look(_l("May rest"), "blue", "power"),
    "wake": Look(_l("To be woken"), "green", "power"),
    "stays": Look(_l("Stays on"), "secondary", "circle-check"),
}
REST_ACTIONS = {
    "rest": Look(_l("Would rest"), "blue", "power"),
    "wake": Look(_l("Would be woken"), "green", "power"),
    "stays": Look(_l("Stays on"), "secondary", "circle-check"),
}
WAKES = {
    "ready": _l("ready"),
    "unset": _l("turned off on the card"),
    "cannot": _l("not supported by the card"),
    "unknown": _l("not known whether the card is ready"),
}
VIRTUALIZATION = {"kvm": _l("KVM"), "qemu": _l("emulated (QEMU)")}
CHARTS = {
    "cpu_load": _l("CPU"),
    "memory_used": _l("Memory"),
    "ssh_ms": _l("SSH"),
    "libvirt_ms": _l("libvirt"),
}


def of(node: Node) -> Look:
    """What was seen of the node last; another host key than the accepted one comes before all else."""
    if node.trust == Trust.CHANGED:
        return QUARANTINED
    if node.is_overdue:
        return OVERDUE
    if node.is_shut_down or (node.rests and node.observed == Observed.DOWN):
        return SHUT_DOWN
    return AWAY[Away(node.away)] if node.away and node.observed == Observed.DOWN else look_of(STATES, node.observed)


def of_service(node: Node) -> Look | None:
    """The service state of the node, where it is not “enabled”."""
    if node.rests or node.leaves_to_rest:
        return REST_STEPS[node.rest_step]
    return None if node.service_state == ServiceState.ENABLED else look_of(SERVICE_STATES, node.service_state)


def of_rest(node: Node, action: str, acts: bool) -> Look:
    """How far the rest of a node is, or what the schedule says of it."""
    if node.rests or node.leaves_to_rest:
        return REST_STEPS[node.rest_step]
    return (ACTING if acts else REST_ACTIONS)[action]


def of_link(link: Shown | None) -> Look:
    """A node's link as last published by the links process."""
    return LINKS[link.up if link is not None else None]


def of_left(row: Remains) -> str:
    """What something that is left on a node is, or what happens to it."""
    return str(LEFT.get(row.cause) or ORPHANS[row.kind])
