"""The filters: one rule each. A filter returns None, or the reason why the node takes no (further) clone."""

from collections.abc import Callable

from ravada_web.needs import lacking
from ravada_web.placement.types import Demand, NodeState, Reason

Filter = Callable[[NodeState, Demand], Reason | None]


def enabled(node: NodeState, _demand: Demand) -> Reason | None:
    """Only enabled nodes. The reason shows the service state instead."""
    if node.service_state == "enabled":
        return None
    return Reason("not_enabled", {"wanted": node.service_state})


def kept(node: NodeState, _demand: Demand) -> Reason | None:
    """Nothing is sent to a node that was given up, though it answers again."""
    return Reason("given_up") if node.service_state == "given_up" else None


def runs_clones(node: NodeState, _demand: Demand) -> Reason | None:
    """A node may be kept from running clones, as the master often is."""
    if node.runs_clones:
        return None
    return Reason("kept_free")


def trusted(node: NodeState, _demand: Demand) -> Reason | None:
    """Nothing is sent to a host whose key is not the one that was accepted."""
    if node.trust == "pinned":
        return None
    return Reason("quarantined")


def up(node: NodeState, _demand: Demand) -> Reason | None:
    """Only nodes whose SSH and libvirt answered the last check. The operator sees the check's own words."""
    if node.observed == "up":
        return None
    why = {"why": node.reason} if node.reason else {}
    return Reason("not_up", {"observed": node.observed, **why})


def allowed(node: NodeState, _demand: Demand) -> Reason | None:
    """Only the nodes that are ticked in the base's Base tab."""
    if node.allowed:
        return None
    return Reason("not_allowed")


def offers_all(node: NodeState, demand: Demand) -> Reason | None:
    """A node without what the base needs, such as a bridge, would only fail to start its clones."""
    missing = lacking(demand.needs, node.offers)
    return Reason("lacks", {"missing": [[need.kind, need.value] for need in missing]}) if missing else None


def replica_ready(node: NodeState, _demand: Demand) -> Reason | None:
    """The base's disks must be on the node, whole and verified."""
    if node.replica == "ready":
        return None
    if node.replica is None:
        return Reason("no_replica")
    return Reason("replica_not_ready", {"replica": node.replica})


def memory(node: NodeState, demand: Demand) -> Reason | None:
    """A clone that starts takes its memory now, beside what the node keeps back; one that stays stopped must at
    least be able to start there with nothing else running."""
    available = node.memory_free_mib if demand.start else node.memory_total_mib
    if available is None:
        return Reason("memory_unknown")
    usable = available - node.memory_reserve_mib
    if demand.memory_mib <= usable:
        return None
    figures = {
        "need_mib": demand.memory_mib,
        "have_mib": max(0, usable),
        "reserve_mib": node.memory_reserve_mib,
    }
    return Reason("memory" if demand.start else "memory_in_all", figures)


def processors(node: NodeState, demand: Demand) -> Reason | None:
    """A clone that starts takes its virtual processors of what the node's overcommit still promises."""
    if not demand.start or node.vcpus_free is None or demand.vcpus <= node.vcpus_free:
        return None
    return Reason("processors", {"need": demand.vcpus, "have": node.vcpus_free})


def disk(node: NodeState, demand: Demand) -> Reason | None:
    """A new overlay needs room in the pool beside what is kept back; unknown room counts as none."""
    if not node.pool_active:
        return Reason("pool_off")
    if node.disk_free_mib is None:
        return Reason("disk_unknown")
    usable = node.disk_free_mib - node.disk_reserve_mib
    if demand.disk_mib <= usable:
        return None
    figures = {"need_mib": demand.disk_mib, "have_mib": max(0, usable), "reserve_mib": node.disk_reserve_mib}
    return Reason("disk", figures)


def clone_limit(node: NodeState, _demand: Demand) -> Reason | None:
    """A node takes no more clones than its administrator allows, running or not."""
    if node.clone_limit is None or node.clones < node.clone_limit:
        return None
    return Reason("clone_limit", {"clones": node.clones, "limit": node.clone_limit})


FILTERS: tuple[Filter, ...] = (
    kept,
    enabled,
    runs_clones,
    trusted,
    up,
    allowed,
    offers_all,
    replica_ready,
    memory,
    processors,
    disk,
    clone_limit,
)

# What a node has to pass to take clones of any base.
_SERVING_NEW: tuple[Filter, ...] = (enabled, runs_clones, trusted, up)

# The reasons of nodes that are not meant to take a clone of the base at all.
NOT_MEANT = ("not_allowed", "kept_free")


def first_reason(node: NodeState, demand: Demand) -> Reason | None:
    """The first filter's reason against the node, in the order above; None when it can take a clone."""
    return next((reason for rule in FILTERS if (reason := rule(node, demand)) is not None), None)


def serves_new(node: NodeState) -> bool:
    """Whether the node takes new clones at all, whatever their base and its room."""
    nothing = Demand(count=1, memory_mib=0, disk_mib=0, start=False)
    return node.pool_active and all(rule(node, nothing) is None for rule in _SERVING_NEW)
