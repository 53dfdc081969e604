"""How even the load of the nodes is.

Two things count, weighed as placement weighs them: the number of clones, as shares of their average, and the memory
that running ones take, as shares of what the nodes have. The imbalance is made of the squares of how far the nodes are
from the average; 0 is as even as whole clones can be, and it stays under 1.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

from ravada_web.placement.filters import serves_new
from ravada_web.placement.types import NodeState
from ravada_web.placement.weighers import DEFAULT_WEIGHTS

# Rounding of figures is no gain.
NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Kind:
    """Clones that are alike to a plan: what each takes, in MiB; the nodes that one would be made again `onto`; those
    where one cannot go, whatever its `base`, which stands for all else that decides where it may go."""

    base: Hashable
    memory_mib: int
    disk_mib: int
    vcpus: int = 1
    running: bool = False
    volatile: bool = False
    onto: frozenset[int] = frozenset()
    barred: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Load:
    """What stands on a node: clones, those of them that run, and their memory as a share of what the node has."""

    clones: int
    running: int
    memory: float


def imbalance(
    nodes: Iterable[NodeState],
    loads: Iterable[tuple[int, int, int]],
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
) -> float:
    """Returns how uneven the load of the nodes that take new clones is, from 0 to 1. Each load is a node, how many
    clones stand on it, and the MiB that those that run take; loads of one node add up."""
    sites = sites_of(nodes)
    for node_id, clones, memory_mib in loads:
        if node_id in sites:
            sites[node_id].clones += clones
            sites[node_id].memory_mib += memory_mib
    return bounded(Scale(sites.values(), weights).unevenness())


def sites_of(nodes: Iterable[NodeState]) -> "dict[int, Site]":
    """Those of the nodes that take part, in the order of their ids."""
    able = [node for node in nodes if serves_new(node) and _capacity(node)]
    return {node.id: Site(node) for node in sorted(able, key=lambda node: node.id)}


def _capacity(node: NodeState) -> int:
    return max(0, (node.memory_total_mib or 0) - node.memory_reserve_mib)


class Site:
    """A node in the plan: its room, charged with what it takes and never given back, and what stands on it."""

    def __init__(self, state: NodeState) -> None:
        self.state = state
        self.capacity = _capacity(state)
        self.clones = 0
        self.running = 0
        self.memory_mib = 0
        self.movable: dict[Kind, list[int]] = {}

    def put(self, kind: Kind, count: int) -> None:
        """Have so many more of the kind on it."""
        self.clones += count
        if kind.running:
            self.running += count
            self.memory_mib += count * kind.memory_mib

    @property
    def memory(self) -> float:
        """What running clones take of its memory, as a share."""
        return self.memory_mib / self.capacity

    def load(self) -> Load:
        """What stands on it now."""
        return Load(self.clones, self.running, self.memory)


class Scale:
    """How uneven these nodes are: of the averages, which no move changes, and what each clone changes."""

    def __init__(self, sites: Iterable[Site], weights: Mapping[str, float]) -> None:
        self._sites = list(sites)
        count = max(1, len(self._sites))
        self._average = max(sum(site.clones for site in self._sites) / count, NOTHING)
        self._capacity = max(1.0, sum(site.capacity for site in self._sites) / count)
        self._clones_weigh = weights.get("clones", 0.0) / DEFAULT_WEIGHTS["clones"]
        self._memory_weighs = weights.get("memory", 0.0) / DEFAULT_WEIGHTS["memory"]

    def unevenness(self) -> float:
        """The mean square of how far the nodes are from the averages, beyond what whole clones leave in any case."""
        count = len(self._sites)
        if not count:
            return 0.0
        average, spare = self._average, self._average % 1
        shares = [site.clones / average - 1 for site in self._sites]
        number = sum(share * share for share in shares) / count - spare * (1 - spare) / average**2
        held = sum(site.memory_mib for site in self._sites) / (self._capacity * count)
        far = sum(site.capacity * (site.memory - held) ** 2 for site in self._sites)
        memory = far / (self._capacity * count)
        return max(0.0, self._clones_weigh * number + self._memory_weighs * memory)

    def change(self, kind: Kind, site: Site, count: int) -> float:
        """By how much the sum of the squares changes with one more (1) or less (-1) of the kind on the node, all but
        what is the same for each node left out."""
        each = 1 / self._average
        change = self._clones_weigh * each * (2 * count * site.clones * each + each)
        if kind.running:
            share = kind.memory_mib / self._capacity
            change += self._memory_weighs * share * (2 * count * site.memory + kind.memory_mib / site.capacity)
        return change

    def moved(self, kind: Kind) -> float:
        """How much of the load one of the kind is."""
        moved = self._clones_weigh / self._average
        return moved + (self._memory_weighs * kind.memory_mib / self._capacity if kind.running else 0.0)

    def is_by_memory(self, kind: Kind, source: Site, target: Site) -> bool:
        """Whether a move evens the memory in use more than it evens the number."""
        by_number = self._clones_weigh * (source.clones - target.clones - 1) / self._average**2
        share = kind.memory_mib / self._capacity
        return kind.running and self._memory_weighs * share * (source.memory - target.memory) > by_number


def bounded(uneven: float) -> float:
    """Returns an unevenness as a figure from 0 to 1."""
    return sqrt(uneven / (1 + uneven))
