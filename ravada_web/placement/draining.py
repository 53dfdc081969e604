"""What becomes of each clone that is to leave its node: decided for all of them together, each with one outcome.

Who moves is placed as new clones are, each charged to its node before the next; those first that run, which need the
memory, and of these the largest. Where a clone was to go already it goes still, as long as that node takes it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ravada_web.needs import Need
from ravada_web.placement.filters import first_reason
from ravada_web.placement.moving import CloneTraits, held
from ravada_web.placement.reserve import Cluster, Shortfall, shortfalls
from ravada_web.placement.select import charge, place
from ravada_web.placement.types import Demand, NodeState, Reason, Verdict
from ravada_web.placement.weighers import DEFAULT_WEIGHTS
from ravada_web.platforms import Host, Platform

# What becomes of one.
LIVE, COLD, SHUT_DOWN, THROW_AWAY, WAIT, STAYS = "live", "cold", "shut_down", "throw_away", "wait", "stays"
# The states of a copy of a base that is on its way.
COMING = (None, "wanted", "copying", "verifying")
_Verdicts = tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Guest:
    """A clone that is to leave its node; memory and disk in MiB, its base's version by number. It `starts` where it is
    off and is to run once it is there; `in_use` of a volatile one: somebody works with it. `busy`: other work on it is
    under way, `stuck`: it cannot leave at all. `planned` is where it was to go; `barred` are nodes that it cannot go
    to, `only` those that it may, if not all; `only_off` is why it moves only while it is off, if so."""

    id: int
    node_id: int
    version_id: int
    memory_mib: int
    disk_mib: int
    running: bool
    vcpus: int = 1
    needs: tuple[Need, ...] = ()
    volatile: bool = False
    in_use: bool = True
    starts: bool = False
    busy: Reason | None = None
    stuck: Reason | None = None
    planned: int | None = None
    barred: frozenset[int] = frozenset()
    only: frozenset[int] | None = None
    arch: str = "x86_64"
    virt_type: str = ""
    platform: Platform = field(default_factory=Platform)
    only_off: Reason | None = None


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen: the nodes that are left by all, whether those that run may move so, whether users' time is over,
    and whether what runs is shut down then; whether idle volatile ones are thrown away, and copies of bases waited
    for."""

    leaving: frozenset[int]
    live: bool = False
    late: bool = False
    shuts_down: bool = False
    throws_away: bool = True
    brings: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one: the way, the node that it goes to, and why it waits or stays: a reason of its own, or one
    for each node that might have taken it. `brings`: it waits for its base's copy on the node."""

    guest_id: int
    way: str
    to: int | None = None
    reason: Reason | None = None
    verdicts: tuple[Verdict, ...] = ()
    brings: bool = False


def decide(
    guests: Sequence[Guest],
    states: Mapping[int, Sequence[NodeState]],
    hosts: Mapping[int, Host],
    choices: Choices,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
) -> list[Outcome]:
    """One outcome for each, in their order. `states` are the nodes as placement sees them for each version of a base,
    by its number; `hosts` what nodes offer to running guests."""
    return _Planning(states, hosts, choices, weights).decide(guests)


@dataclass
class _Taken:
    """What outcomes decided by now take of a node."""

    clones: int = 0
    running: int = 0
    memory_mib: int = 0
    vcpus: int = 0
    disk_mib: int = 0


class _Planning:
    def __init__(
        self,
        states: Mapping[int, Sequence[NodeState]],
        hosts: Mapping[int, Host],
        choices: Choices,
        weights: Mapping[str, float],
    ) -> None:
        self._states, self._hosts, self._choices, self._weights = states, hosts, choices, weights
        self._taken: dict[int, _Taken] = {}
        self._found: dict[int, Outcome] = {}

    def decide(self, guests: Sequence[Guest]) -> list[Outcome]:
        """One outcome for each, in their order."""
        self._settle(guests, self._unmoved)
        if self._choices.live:
            self._place([guest for guest in self._left(guests) if guest.running], LIVE)
        self._settle(self._left(guests), self._kept)
        self._place([guest for guest in self._left(guests) if guest.running], SHUT_DOWN)
        self._place([guest for guest in self._left(guests) if guest.starts], COLD)
        self._place(self._left(guests), COLD)
        return [self._found[guest.id] for guest in guests]

    def _left(self, guests: Sequence[Guest]) -> list[Guest]:
        return [guest for guest in guests if guest.id not in self._found]

    def _settle(self, guests: Sequence[Guest], rule: Callable[[Guest], Outcome | None]) -> None:
        self._found |= {guest.id: outcome for guest in guests if (outcome := rule(guest))}

    def _unmoved(self, guest: Guest) -> Outcome | None:
        """The outcome of one that need not, or cannot, go anywhere now."""
        if guest.stuck:
            return Outcome(guest.id, STAYS, reason=guest.stuck)
        if guest.busy:
            return Outcome(guest.id, WAIT, guest.planned, guest.busy)
        if guest.volatile and self._choices.throws_away and not (guest.running and guest.in_use):
            return Outcome(guest.id, THROW_AWAY)
        return None

    def _kept(self, guest: Guest) -> Outcome | None:
        """The outcome of one that runs and cannot move so: its user may stay until the time is over."""
        if not guest.running:
            return None
        if self._choices.shuts_down and not guest.volatile:
            return None  # it moves once it is off, if there is a place for it
        if not self._choices.late:
            return Outcome(guest.id, WAIT, reason=Reason("drain_in_use"))
        if self._choices.shuts_down:
            return Outcome(guest.id, SHUT_DOWN)
        return Outcome(guest.id, STAYS, reason=Reason("drain_runs"))

    def _place(self, guests: Sequence[Guest], way: str) -> None:
        """Have as many of these as possible go somewhere: those that cannot go so while they run are left for another
        way, all others wait for their base or stay."""
        alike: dict[_Alike, list[Guest]] = {}
        for guest in sorted(guests, key=lambda one: -one.memory_mib):
            alike.setdefault(_alike(guest, way), []).append(guest)
        for kind, group in alike.items():
            self._place_alike(kind, group, way)

    def _place_alike(self, kind: "_Alike", group: Sequence[Guest], way: str) -> None:
        """Those that are alike to placement: where they were to go, then wherever there is room."""
        demand = Demand(1, kind.memory_mib, kind.disk_mib, kind.start, kind.vcpus, kind.needs)
        among = [
            state for state in self._states.get(kind.version_id, ()) if self._may_take(state.id, kind, group[0], way)
        ]
        states = {state.id: self._charged(state) for state in among}
        rest = [guest for guest in group if not self._is_kept(guest, states, demand, way)]
        if not rest:
            return
        verdicts = self._spread(rest, states, demand, way)
        for guest in self._left(rest):
            if way != LIVE:
                self._found[guest.id] = self._without_place(guest, states, demand, verdicts)

    def _may_take(self, node_id: int, kind: "_Alike", guest: Guest, way: str) -> bool:
        if node_id in self._choices.leaving or node_id in kind.barred or node_id == guest.node_id:
            return False
        if kind.only is not None and node_id not in kind.only:
            return False
        return way != LIVE or held(_traits(guest), self._hosts.get(node_id)) is None

    def _is_kept(self, guest: Guest, states: dict[int, NodeState], demand: Demand, way: str) -> bool:
        """Send it where it was to go, if that node still takes it; returns whether it does."""
        planned = states.get(guest.planned) if guest.planned is not None else None
        if planned is None or first_reason(planned, demand):
            return False
        self._send(guest, planned.id, states, demand, way)
        return True

    def _spread(self, guests: Sequence[Guest], states: dict[int, NodeState], demand: Demand, way: str) -> _Verdicts:
        """Send as many of these as fit, the first ones; returns why no more."""
        choice = place(list(states.values()), replace(demand, count=len(guests)), self._weights)
        placed = choice.placed
        if choice.fits and not choice.complete:
            placed = place(list(states.values()), replace(demand, count=choice.fits), self._weights).placed
        for guest, node_id in zip(guests, placed, strict=False):
            self._send(guest, node_id, states, demand, way)
        return choice.verdicts

    def _send(self, guest: Guest, node_id: int, states: dict[int, NodeState], demand: Demand, way: str) -> None:
        self._found[guest.id] = Outcome(guest.id, way, node_id)
        states[node_id] = charge(states[node_id], demand)
        taken = self._taken.setdefault(node_id, _Taken())
        taken.clones += 1
        taken.disk_mib += demand.disk_mib
        if demand.start:
            taken.running += 1
            taken.memory_mib += demand.memory_mib
            taken.vcpus += demand.vcpus

    def _without_place(
        self, guest: Guest, states: Mapping[int, NodeState], demand: Demand, verdicts: _Verdicts
    ) -> Outcome:
        """It waits where its base's copy is on its way to a node that has room for it, or may be brought there."""
        if self._choices.brings:
            coming = [replace(state, replica="ready") for state in states.values() if state.replica in COMING]
            fitting = [state for state in coming if first_reason(state, demand) is None]
            if fitting:
                best = max(fitting, key=lambda state: (state.id == guest.planned, -state.clones, -state.id))
                return Outcome(guest.id, WAIT, best.id, Reason("drain_base_missing"), brings=True)
        return Outcome(guest.id, STAYS, verdicts=verdicts)

    def _charged(self, state: NodeState) -> NodeState:
        """The node with all that was sent to it by now."""
        taken = self._taken.get(state.id)
        if taken is None:
            return state
        memory, vcpus, disk = state.memory_free_mib, state.vcpus_free, state.disk_free_mib
        return replace(
            state,
            clones=state.clones + taken.clones,
            running=state.running + taken.running,
            memory_free_mib=None if memory is None else memory - taken.memory_mib,
            vcpus_free=None if vcpus is None else vcpus - taken.vcpus,
            disk_free_mib=None if disk is None else disk - taken.disk_mib,
        )


@dataclass(frozen=True, slots=True)
class _Alike:
    """What clones have in common that may go to the same nodes and take as much there."""

    version_id: int
    node_id: int
    memory_mib: int
    disk_mib: int
    vcpus: int
    start: bool
    needs: tuple[Need, ...]
    barred: frozenset[int]
    only: frozenset[int] | None
    runs_on: tuple[str, str, Platform, bool] | None


def _alike(guest: Guest, way: str) -> _Alike:
    return _Alike(
        version_id=guest.version_id,
        # Nobody goes where it is; those of all nodes that are left are alike.
        node_id=0 if guest.only is None else guest.node_id,
        memory_mib=guest.memory_mib,
        disk_mib=guest.disk_mib,
        vcpus=guest.vcpus,
        start=guest.running or guest.starts,
        needs=guest.needs,
        barred=guest.barred,
        only=guest.only,
        runs_on=(guest.arch, guest.virt_type, guest.platform, guest.only_off is None) if way == LIVE else None,
    )


def _traits(guest: Guest) -> CloneTraits:
    return CloneTraits(
        guest.node_id,
        guest.running,
        guest.memory_mib,
        guest.disk_mib,
        arch=guest.arch,
        virt_type=guest.virt_type,
        platform=guest.platform,
        only_off=guest.only_off,
    )


def room_after(
    cluster: Cluster, guests: Iterable[Guest], outcomes: Iterable[Outcome], leaving: frozenset[int]
) -> list[Shortfall]:
    """The nodes whose loss the others would have no room for once all this is done and the nodes that are left are
    out of service, the worst first."""
    memory = {guest.id: guest.memory_mib for guest in guests if guest.running or guest.starts}
    free = {node_id: mib for node_id, mib in cluster.free_mib.items() if node_id not in leaving}
    for outcome in outcomes:
        if outcome.to in free and outcome.way in (LIVE, COLD, SHUT_DOWN):
            free[outcome.to] -= memory.get(outcome.guest_id, 0)
    running = [replace(each, onto=each.onto - leaving) for each in cluster.running if each.node_id not in leaving]
    return shortfalls(Cluster(cluster.names, free, running))
