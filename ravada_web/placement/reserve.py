"""Room for the loss of one node: what runs on any one node, and would be made again elsewhere, has to fit into what is
free on the others.

What may be made again on the same nodes is looked at together with whatever else may be made again on those nodes
alone. A node takes a clone only where each such family keeps its room, for the loss of each node. Free room is counted
in whole clones: four nodes with 2 GiB each are no room for one of 4 GiB.

Each family holds its sums, so that taking a clone costs a step for each family of its node, and not one for each node.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ravada_web.placement.types import Reason

# Families whose nodes overlap share room, and are looked at together too, up to so many.
MOST_FAMILIES = 16


@dataclass(frozen=True, slots=True)
class Running:
    """Clones that run on a node, are made again when it dies, and on which nodes: `count` of so much memory, in MiB."""

    node_id: int
    memory_mib: int
    count: int
    onto: frozenset[int]


@dataclass(frozen=True, slots=True)
class Cluster:
    """The names of all nodes; MiB that are free for clones on those that take some, which are fewer; and what runs, by
    nodes, and would be made again."""

    names: Mapping[int, str]
    free_mib: Mapping[int, int]
    running: Sequence[Running]


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A clone that is to run: its memory in MiB, and the nodes on which it would be made again; none where it would
    not."""

    memory_mib: int
    onto: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The loss of this node could not be made up for: so many MiB are missing."""

    node_id: int
    missing_mib: int


def shortfalls(cluster: Cluster) -> list[Shortfall]:
    """The nodes whose loss the others have no room for now, the worst first."""
    worst: dict[int, int] = {}
    for level in _levels(cluster, ()):
        for node_id, missing in level.missing():
            worst[node_id] = max(missing, worst.get(node_id, 0))
    return sorted((Shortfall(*pair) for pair in worst.items()), key=lambda each: (-each.missing_mib, each.node_id))


class Reserve:
    """The room kept while clones are placed or started, one after the other; `newcomers` are all that may be asked
    about."""

    def __init__(self, cluster: Cluster, newcomers: Iterable[Newcomer]) -> None:
        self._names = cluster.names
        self._of_node: dict[int, list[_Level]] = {}
        for level in _levels(cluster, newcomers):
            for node_id in level.nodes:
                self._of_node.setdefault(node_id, []).append(level)

    def refusal(self, node_id: int, newcomer: Newcomer) -> Reason | None:
        """Why the node does not take it: the room is kept for the loss of another node, or none is left for its own
        loss. It counts only where taking it makes that worse."""
        for level in self._of_node.get(node_id, ()):
            lost = level.short_with(node_id, newcomer)
            if lost == node_id:
                return Reason("lost_with_it")
            if lost is not None:
                return Reason("kept_for_loss", {"lost_nodes": [self._names.get(lost, "")]})
        return None

    def charge(self, node_id: int, newcomer: Newcomer) -> None:
        """Take it on the node."""
        for level in self._of_node.get(node_id, ()):
            level.take(node_id, newcomer)

    def allows(self, newcomer: Newcomer, source_id: int, target_id: int) -> bool:
        """Whether what runs on the one node may move to the other: no loss then lacks more room than the worst does
        now."""
        levels = self._touched(source_id, target_id)
        before = [level.worst() for level in levels]
        self._shift(newcomer, source_id, target_id)
        worse = any(level.worst() > max(0, was) for level, was in zip(levels, before, strict=True))
        self._shift(newcomer, target_id, source_id)
        return not worse

    def move(self, newcomer: Newcomer, source_id: int, target_id: int) -> None:
        """Charge the newcomer to the other node instead."""
        self._shift(newcomer, source_id, target_id)

    def _shift(self, newcomer: Newcomer, source_id: int, target_id: int) -> None:
        for level in self._of_node.get(source_id, ()):
            level.give_up(source_id, newcomer)
        for level in self._of_node.get(target_id, ()):
            level.take(target_id, newcomer)

    def _touched(self, *node_ids: int) -> "list[_Level]":
        return list({id(level): level for node_id in node_ids for level in self._of_node.get(node_id, ())}.values())


class _Level:
    """Clones that may be made again on these nodes alone, those of one size and larger ones: the room for them there,
    and what each node would lose, both in units of that size.

    Made again the largest first, they all fit if at each size their units, rounded up, are no more than those that are
    free, rounded down: where one did not fit, all that is free would have been used up by as large ones.
    """

    def __init__(self, onto: frozenset[int], size: int, free_mib: Mapping[int, int], kinds: Iterable["_Kind"]) -> None:
        self.onto = onto
        self._size = size
        self._free = {node_id: free_mib[node_id] for node_id in onto if node_id in free_mib}
        self._room = sum(map(self._usable, self._free))
        self._lost: dict[int, int] = {}
        self._within: dict[frozenset[int], bool] = {}
        # The nodes with some of just this size: to the others this level is nothing.
        self._concerned: set[int] = set()
        for kind in kinds:
            for (node_id, memory_mib), count in kind.items():
                self._lose(node_id, memory_mib, count)
        self._heap = [(-self._needed(node_id), node_id) for node_id in self._concerned]
        heapq.heapify(self._heap)

    @property
    def nodes(self) -> Collection[int]:
        """The nodes that it matters to if they take a clone."""
        return self._free.keys() | self._lost.keys()

    def missing(self) -> Iterator[tuple[int, int]]:
        """The nodes whose loss it has no room for, and how many MiB are missing."""
        for node_id in self._concerned:
            if (missing := self._needed(node_id) - self._room) > 0:
                yield node_id, missing * self._size

    def short_with(self, node_id: int, newcomer: Newcomer) -> int | None:
        """The node whose loss there would be no room for if this one took the newcomer; None where there is none, or
        the newcomer makes no difference to it."""
        before = self._usable(node_id)
        taken = before - self._units_free(self._free.get(node_id, 0) - newcomer.memory_mib)
        if taken and (other := self._neediest_but(node_id)) is not None and self._needed(other) > self._room - taken:
            return other
        counts = newcomer.memory_mib == self._size or node_id in self._concerned
        if not counts or not self._may_lose(newcomer, node_id):
            return None
        own = self._lost.get(node_id, 0) + self._units(newcomer.memory_mib)
        return node_id if own > self._room - before else None

    def take(self, node_id: int, newcomer: Newcomer) -> None:
        """Charge the newcomer to the node."""
        self._charge(node_id, newcomer, 1)

    def give_up(self, node_id: int, newcomer: Newcomer) -> None:
        """Take the newcomer off the node, which it is charged to."""
        self._charge(node_id, newcomer, -1)

    def worst(self) -> int:
        """By how many units the node that is the hardest to lose needs more than there is; less than 0 is spare."""
        hardest = self._neediest_but(None)
        return (0 if hardest is None else self._needed(hardest)) - self._room

    def _charge(self, node_id: int, newcomer: Newcomer, count: int) -> None:
        if node_id in self._free:
            before = self._usable(node_id)
            self._free[node_id] -= newcomer.memory_mib * count
            self._room -= before - self._usable(node_id)
        if self._may_lose(newcomer, node_id):
            self._lose(node_id, newcomer.memory_mib, count)
        if node_id in self._concerned:
            heapq.heappush(self._heap, (-self._needed(node_id), node_id))

    def _may_lose(self, newcomer: Newcomer, node_id: int) -> bool:
        if newcomer.memory_mib < self._size or not elsewhere(newcomer.onto, node_id):
            return False
        known = self._within.get(newcomer.onto)
        if known is None:
            known = self._within[newcomer.onto] = newcomer.onto <= self.onto
        return known

    def _lose(self, node_id: int, memory_mib: int, count: int) -> None:
        if memory_mib >= self._size:
            self._lost[node_id] = self._lost.get(node_id, 0) + self._units(memory_mib) * count
        if memory_mib == self._size:
            self._concerned.add(node_id)

    def _needed(self, node_id: int) -> int:
        """What the room has to be for its loss: what it would lose, beside its own room, which is lost too."""
        return self._lost[node_id] + self._usable(node_id)

    def _units(self, memory_mib: int) -> int:
        return -(-memory_mib // self._size)

    def _usable(self, node_id: int) -> int:
        return self._units_free(self._free.get(node_id, 0))

    def _units_free(self, free_mib: int) -> int:
        return max(0, free_mib // self._size)

    def _neediest_but(self, node_id: int | None) -> int | None:
        """The node that needs the most room for its loss, this one aside, if any."""
        aside: set[tuple[int, int]] = set()
        found = None
        while self._heap and found is None:
            needed, first = self._heap[0]
            if -needed != self._needed(first):
                heapq.heappop(self._heap)  # its newer figures are there too
            elif first == node_id:
                aside.add(heapq.heappop(self._heap))
            else:
                found = first
        for pair in aside:
            heapq.heappush(self._heap, pair)
        return found


def elsewhere(onto: frozenset[int], node_id: int) -> bool:
    """Whether it could be made again on any node but this one."""
    return len(onto) > (node_id in onto)


# Clones that may be made again on the same nodes: how many run, by node and size in MiB.
_Kind = dict[tuple[int, int], int]


def _levels(cluster: Cluster, newcomers: Iterable[Newcomer]) -> list[_Level]:
    kinds: dict[frozenset[int], _Kind] = {}
    sizes: dict[frozenset[int], set[int]] = {}
    for clones in cluster.running:
        if elsewhere(clones.onto, clones.node_id):
            kind, place = kinds.setdefault(clones.onto, {}), (clones.node_id, clones.memory_mib)
            kind[place] = kind.get(place, 0) + clones.count
            sizes.setdefault(clones.onto, set()).add(clones.memory_mib)
    for each in newcomers:
        if each.onto:
            sizes.setdefault(each.onto, set()).add(each.memory_mib)
    levels = []
    for onto in _united(sizes):
        within = [each for each in sizes if each <= onto]
        known = [kinds[each] for each in within if each in kinds]
        found = set().union(*(sizes[each] for each in within))
        levels += [_Level(onto, size, cluster.free_mib, known) for size in sorted(found, reverse=True)]
    return levels


def _united(sets: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    """These sets and the unions of those that overlap, as far as they are not too many; the union of all in any
    case."""
    given = list(sets)
    known = dict.fromkeys(given)
    for each in given:
        if len(known) > MOST_FAMILIES:
            break
        known |= dict.fromkeys(each | other for other in list(known) if not each.isdisjoint(other))
    if given:
        known[frozenset().union(*given)] = None
    return list(known)
