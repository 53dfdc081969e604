"""Moves that make the load of the nodes even: which clones, where to, and what each gains.

Move after move, the one is taken that gains the most for what it moves, and each lowers the imbalance (`balance`).

Clones that are off go first: nobody notices. Running ones count double what they move, so they go where the memory is
uneven, or nothing else could even the number; volatile ones of them double again, since they are gone soon in any case.
What differs by less than a tenth of the average is left.

Room that a move frees is not given away in the same plan, and a clone moves once in it at most. So every part of a plan
may be left out, and whatever is done first, no node takes more than it has room for. At no step is there less room for
the loss of a node.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ravada_web.placement import filters, select
from ravada_web.placement.balance import NOTHING, Kind, Load, Scale, Site, bounded, sites_of
from ravada_web.placement.filters import Filter
from ravada_web.placement.reserve import Cluster, Newcomer, Reserve
from ravada_web.placement.types import Demand, NodeState, Reason
from ravada_web.placement.weighers import DEFAULT_WEIGHTS

# Nodes that are closer to each other than this share of the average are even.
LEAST = 0.1
# What moving one clone counts beside moving another of its size, where both would gain the same.
_RUNNING, _VOLATILE = 2.0, 4.0
_ROOM: tuple[Filter, ...] = (filters.memory, filters.processors, filters.disk, filters.clone_limit)
# So many nodes are passed over for a kind, before it is taken to have no place to go.
_TRIED = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """A clone and where it stands; one that is `held` counts there and does not move: it rests, or has work."""

    id: int
    node_id: int
    kind: Kind
    held: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """One move of a plan: why, in figures of before it, and which share of the imbalance at first it takes away."""

    clone_id: int
    source_id: int
    target_id: int
    live: bool
    reason: Reason
    gain: float


@dataclass(frozen=True, slots=True)
class Rebalancing:
    """A plan: its moves in their order, and the imbalance and each node's load before and after all of them."""

    moves: tuple[Move, ...]
    imbalance: tuple[float, float]
    loads: Mapping[int, tuple[Load, Load]]


MayTake = Callable[[Kind, int], bool]


def rebalance(
    nodes: Sequence[NodeState],
    clones: Sequence[Standing],
    may_take: MayTake,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    cluster: Cluster | None = None,
    most: int | None = None,
) -> Rebalancing:
    """Plan up to `most` moves among the nodes that take new clones; what stands on others is left out.

    `may_take` says whether a node takes clones of a kind, its room aside: running ones only where they can go on
    running. It is asked once for each. Where the cluster is given, running clones move only where what runs on any one
    node still fits on the others. The same input gives the same plan.
    """
    plan = _Plan(nodes, clones, may_take, weights, cluster)
    while plan.further(most):
        pass
    return plan.result()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A move of an earlier plan: the clone, its node then, where to, and that it ran."""

    clone_id: int
    source_id: int
    target_id: int
    live: bool


def confirmed(
    nodes: Sequence[NodeState],
    clones: Sequence[Standing],
    may_take: MayTake,
    chosen: Iterable[Chosen],
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    cluster: Cluster | None = None,
) -> Rebalancing:
    """Plan these moves, in their order, as far as each still is possible and lowers the imbalance; `rebalance` has the
    other arguments."""
    plan = _Plan(nodes, clones, may_take, weights, cluster)
    for each in chosen:
        plan.take_again(each)
    return plan.result()


@dataclass(frozen=True, slots=True)
class _Chance:
    """The best move of a kind from a node: what it gains in all, and for what it moves and costs."""

    worth: float
    gain: float
    kind: Kind
    target_id: int


class _Plan:
    def __init__(
        self,
        nodes: Sequence[NodeState],
        clones: Sequence[Standing],
        may_take: MayTake,
        weights: Mapping[str, float],
        cluster: Cluster | None,
    ) -> None:
        self._sites = sites_of(nodes)
        standing = [clone for clone in clones if clone.node_id in self._sites]
        self._standing = {clone.id: clone for clone in standing}
        for clone in sorted(standing, key=lambda clone: clone.id, reverse=True):
            site = self._sites[clone.node_id]
            site.put(clone.kind, 1)
            if not clone.held:
                site.movable.setdefault(clone.kind, []).append(clone.id)
        self._may_take = may_take
        self._known: dict[tuple[Kind, int], bool] = {}
        kinds = {clone.kind for clone in standing if clone.kind.running}
        newcomers = [Newcomer(kind.memory_mib, kind.onto) for kind in kinds]
        self._reserve = Reserve(cluster, newcomers) if cluster else None
        self._scale = Scale(self._sites.values(), weights)
        self._heaps: dict[Kind, list[tuple[float, int]]] = {}
        self._moves: list[Move] = []
        self._before = {id_: site.load() for id_, site in self._sites.items()}
        self._uneven = self._scale.unevenness()

    def result(self) -> Rebalancing:
        loads = {id_: (self._before[id_], site.load()) for id_, site in self._sites.items()}
        return Rebalancing(tuple(self._moves), (bounded(self._uneven), bounded(self._scale.unevenness())), loads)

    def further(self, most: int | None) -> bool:
        """Go through all nodes once more; returns whether that added a move."""
        before, self._heaps = len(self._moves), {}
        heap = [(-chance.worth, id_) for id_ in self._sites if (chance := self._best(id_))]
        heapq.heapify(heap)
        while heap and (most is None or len(self._moves) < most):
            _worth, node_id = heapq.heappop(heap)
            chance = self._best(node_id)
            if chance is None:
                continue
            again = [node_id]
            if not heap or chance.worth >= -heap[0][0]:
                self._take(node_id, chance)
                again.append(chance.target_id)
            for id_ in again:
                if best := self._best(id_):
                    heapq.heappush(heap, (-best.worth, id_))
        return len(self._moves) > before

    def take_again(self, chosen: Chosen) -> None:
        """Add this move, where it still is possible and lowers the imbalance."""
        clone = self._standing.get(chosen.clone_id)
        if clone is None or (clone.node_id, clone.kind.running) != (chosen.source_id, chosen.live):
            return
        kind, target_id = clone.kind, chosen.target_id
        left = self._sites[clone.node_id].movable.get(kind, [])
        if clone.id not in left or target_id == clone.node_id or target_id not in self._sites:
            return
        gain = -self._change(kind, clone.node_id, -1) - self._change(kind, target_id, 1)
        fits = self._takes(kind, target_id) and self._has_room(kind, target_id)
        if gain > NOTHING and fits and self._keeps_reserve(kind, clone.node_id, target_id):
            left.remove(clone.id)
            left.append(clone.id)  # the next one
            self._take(clone.node_id, _Chance(0.0, gain, kind, target_id))

    def _best(self, source_id: int) -> _Chance | None:
        """The move from the node that is worth the most; None where none is."""
        found: _Chance | None = None
        for kind in sorted(self._sites[source_id].movable, key=lambda kind: kind.running):
            found = self._chance(source_id, kind, found.worth if found else 0.0) or found
        return found

    def _chance(self, source_id: int, kind: Kind, beyond: float) -> _Chance | None:
        """The best move of one of the kind from the node, where it is worth more than that."""
        moved = self._scale.moved(kind)
        cost = moved * (1.0 if not kind.running else _VOLATILE if kind.volatile else _RUNNING)
        given = -self._change(kind, source_id, -1)
        target = self._target(kind, source_id, given - max(2 * LEAST * moved, beyond * cost, 0.0) - NOTHING)
        if target is None:
            return None
        gain = given - target[0]
        return _Chance(gain / cost, gain, kind, target[1])

    def _target(self, kind: Kind, source_id: int, most: float) -> tuple[float, int] | None:
        """The node that one more of the kind makes the least uneven, by no more than that, and by how much."""
        heap = self._heaps.get(kind)
        if heap is None:
            able = [id_ for id_ in self._sites if self._takes(kind, id_)]
            heap = self._heaps[kind] = [(self._change(kind, id_, 1), id_) for id_ in able]
            heapq.heapify(heap)
        aside: list[tuple[float, int]] = []
        found = None
        while heap and found is None and heap[0][0] <= most and len(aside) <= _TRIED:
            change, node_id = first = heap[0]
            if change != self._change(kind, node_id, 1) or not self._has_room(kind, node_id):
                heapq.heappop(heap)  # its newer figures are there too, or it is full
            elif node_id == source_id or not self._keeps_reserve(kind, source_id, node_id):
                aside.append(heapq.heappop(heap))
            else:
                found = first
        for each in aside:
            heapq.heappush(heap, each)
        return found

    def _takes(self, kind: Kind, node_id: int) -> bool:
        key = kind, node_id
        if key not in self._known:
            self._known[key] = node_id not in kind.barred and self._may_take(kind, node_id)
        return self._known[key]

    def _has_room(self, kind: Kind, node_id: int) -> bool:
        state, demand = self._sites[node_id].state, _demand(kind)
        return not any(rule(state, demand) for rule in _ROOM)

    def _keeps_reserve(self, kind: Kind, source_id: int, target_id: int) -> bool:
        if not kind.running or self._reserve is None:
            return True
        return self._reserve.allows(Newcomer(kind.memory_mib, kind.onto), source_id, target_id)

    def _take(self, source_id: int, chance: _Chance) -> None:
        source, target, kind = self._sites[source_id], self._sites[chance.target_id], chance.kind
        clone_id = source.movable[kind].pop()
        if not source.movable[kind]:
            del source.movable[kind]
        reason = self._reason(kind, source, target)
        gain = chance.gain / max(self._uneven * len(self._sites), chance.gain)
        self._moves.append(Move(clone_id, source_id, chance.target_id, kind.running, reason, gain))
        source.put(kind, -1)
        target.put(kind, 1)
        target.state = select.charge(target.state, _demand(kind))
        if self._reserve is not None and kind.running:
            self._reserve.move(Newcomer(kind.memory_mib, kind.onto), source_id, chance.target_id)
        for other, heap in self._heaps.items():
            for node_id in (source_id, chance.target_id):
                if self._takes(other, node_id):
                    heapq.heappush(heap, (self._change(other, node_id, 1), node_id))

    def _reason(self, kind: Kind, source: Site, target: Site) -> Reason:
        """Which of the two it evens the most, as it was before."""
        if self._scale.is_by_memory(kind, source, target):
            return Reason("evens_memory", {"here": round(100 * source.memory), "there": round(100 * target.memory)})
        return Reason("evens_clones", {"here": source.clones, "there": target.clones})

    def _change(self, kind: Kind, node_id: int, count: int) -> float:
        return self._scale.change(kind, self._sites[node_id], count)


def _demand(kind: Kind) -> Demand:
    return Demand(1, kind.memory_mib, kind.disk_mib, kind.running, kind.vcpus)
