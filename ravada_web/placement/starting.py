"""May a clone start on the node it is on? The filters of placement that a node has to pass for it, in one rule."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ravada_web.needs import Need
from ravada_web.placement import filters
from ravada_web.placement.filters import Filter
from ravada_web.placement.types import Demand, NodeState, Reason

# What a node has to pass before any work is sent to it; the hardest to remove first, as in the next two.
SERVING: tuple[Filter, ...] = (filters.kept, filters.trusted, filters.up)
# One that is paused holds its memory and processors still, and goes on though its node is out of service; but like
# any other it may write to its disk.
RESUMING: tuple[Filter, ...] = (*SERVING, filters.disk)
STARTING: tuple[Filter, ...] = (
    *SERVING,
    filters.enabled,
    filters.offers_all,
    filters.replica_ready,
    filters.disk,
    filters.memory,
    filters.processors,
)


@dataclass(frozen=True, slots=True)
class Start:
    """A clone that is to start on its node: what it takes there, or, where it is `paused`, holds already, in MiB; what
    its base needs; and the state of the copy of its base's version there."""

    node_id: int
    memory_mib: int
    vcpus: int
    paused: bool = False
    needs: tuple[Need, ...] = ()
    replica: str = "ready"


def unserved(node: NodeState) -> Reason | None:
    """What keeps any work from being sent to a node."""
    return _first(SERVING, node, Demand(count=1, memory_mib=0, disk_mib=0, start=False))


def obstacle(node: NodeState, start: Start) -> Reason | None:
    """What keeps the clone from starting on its node, the hardest to remove first; None where it may."""
    # Its disk is there already; a node whose pool is at its floor takes no further byte.
    demand = Demand(count=1, memory_mib=start.memory_mib, disk_mib=1, start=True, vcpus=start.vcpus, needs=start.needs)
    return _first(RESUMING if start.paused else STARTING, replace(node, replica=start.replica), demand)


def charge(node: NodeState, start: Start) -> NodeState:
    """The node with this clone running on it."""
    if start.paused:
        return node
    memory, vcpus = node.memory_free_mib, node.vcpus_free
    return replace(
        node,
        memory_free_mib=None if memory is None else memory - start.memory_mib,
        vcpus_free=None if vcpus is None else vcpus - start.vcpus,
        running=node.running + 1,
    )


def _first(rules: Sequence[Filter], node: NodeState, demand: Demand) -> Reason | None:
    return next((reason for rule in rules if (reason := rule(node, demand)) is not None), None)
