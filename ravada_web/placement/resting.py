"""Which nodes may rest while the cluster is quiet, which are needed, and why; and the past replayed by that rule.

A node rests only where the others have room for all that is used now or expected in the hours to come, for the loss of
the largest of them too, and some to spare; one is woken when less than that is left, or will be within the next hour.
What is asked before a rest is stricter, and looks further ahead, than what ends it: so no node goes to and fro.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ravada_web.placement.types import Reason

HOURS_A_WEEK = 168
# However quiet it is, the loss of one node leaves another.
LEAST_AWAKE = 2
# What rests leaves so much more room than is asked for, as a factor of what is needed.
MARGIN = 1.1
# What is needed in the next hour is woken for now, where it is not known how long the host takes to be up.
AHEAD_HOURS = 1


@dataclass(frozen=True, slots=True)
class Amount:
    """Of memory, in MiB, and of processors: what is there, or what of it is used."""

    memory_mib: float = 0.0
    cpus: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.memory_mib + other.memory_mib, self.cpus + other.cpus)

    def times(self, factor: float) -> "Amount":
        """So many times of it."""
        return Amount(self.memory_mib * factor, self.cpus * factor)

    def most(self, other: "Amount") -> "Amount":
        """The more of both, each for itself."""
        return Amount(max(self.memory_mib, other.memory_mib), max(self.cpus, other.cpus))

    def covers(self, other: "Amount") -> bool:
        """Whether it is no less, of either."""
        return self.memory_mib >= other.memory_mib and self.cpus >= other.cpus


NOTHING = Amount()
# Of each hour of the week, from Monday 00:00 on: what was used then; None where that is not known.
Week = Sequence[Amount | None]


@dataclass(frozen=True, slots=True)
class Host:
    """A node that serves, or rests. `used_mib` is what its desktops use, so what would have to move; `hours` how long
    ago it was put to rest or woken."""

    id: int
    name: str
    room: Amount
    may_rest: bool
    awake: bool = True
    used_mib: float = 0.0
    hours: float = math.inf
    watts: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """`free` is the share of all room that is kept free; between two changes of a node are `settle_hours` at least;
    `allowed` are the hours of the week in which nodes may rest; one is woken for what is needed `ahead_hours` later."""

    free: float
    settle_hours: float
    allowed: frozenset[int]
    ahead_hours: int = AHEAD_HOURS


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a node: it is to `rest` or to `wake`, or it `stays` as it is; and why."""

    node_id: int
    action: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict for each node. One more is woken once more than `wakes_above` is used (None where none rests)."""

    verdicts: tuple[Verdict, ...]
    wakes_above: Amount | None

    def ids(self, action: str) -> list[int]:
        """The nodes of which this becomes."""
        return [verdict.node_id for verdict in self.verdicts if verdict.action == action]


def decide(hosts: Sequence[Host], used: Amount, week: Week, hour: int, rule: Rule) -> Decision:
    """What is to become of each node now, at this hour of the week. Either some are woken, or some put to rest."""
    look = _Look(hosts, used, week, hour, rule)
    turned = look.turns()
    have = look.awake.bound(rule.free)
    verdicts = []
    for host in hosts:
        if host.id in turned:
            verdicts.append(turned[host.id])
        else:
            verdicts.append(Verdict(host.id, "stays", look.why_it_stays(host) if host.awake else look.quiet()))
    return Decision(tuple(verdicts), have if look.awake.count < len(hosts) else None)


class _Look:
    """One look at all nodes: which are to turn, then why the others stay."""

    def __init__(self, hosts: Sequence[Host], used: Amount, week: Week, hour: int, rule: Rule) -> None:
        self._hosts, self._used, self._hour, self._rule = hosts, used, hour, rule
        self.awake = Awake([host.room for host in hosts if host.awake])
        self._soon, _known = expected(used, week, hour, rule.ahead_hours)
        self._needed, known = expected(used, week, hour, _horizon(rule))
        self._at_all = _why_not_at_all(known, hour, rule)
        # What is refused is refused for all of the same room: it only gets less.
        self._refused: dict[Amount, Reason] = {}
        self._woke = False

    def turns(self) -> dict[int, Verdict]:
        """Those that are to wake, or, where none are, to rest; `awake` is of what will be."""
        woken = self._woken() if self.awake.count < len(self._hosts) else {}
        self._woke = bool(woken)
        return woken or ({} if self._at_all else self._put_to_rest())

    def quiet(self) -> Reason:
        """Why those that rest can: what is needed, and what those that are awake have room for."""
        have = self.awake.bound(self._rule.free)
        return Reason("rests", {"need_mib": round(self._needed.memory_mib), "have_mib": round(have.memory_mib)})

    def why_it_stays(self, host: Host) -> Reason:
        """Why one that is awake, and is not to rest, is not."""
        if self._woke:
            return Reason("woken_beside")
        return _why_not(host, self._rule) or self._at_all or self._refused[host.room]

    def _woken(self) -> dict[int, Verdict]:
        """The largest first, as long as more are needed."""
        verdicts: dict[int, Verdict] = {}
        asleep = [host for host in self._hosts if not host.awake]
        for host in sorted(asleep, key=lambda each: (-each.room.memory_mib, each.id)):
            why = _why_wake(self.awake, self._used, self._soon, self._hour, self._rule)
            if why is None:
                break
            verdicts[host.id] = Verdict(host.id, "wake", why)
            self.awake.add(host.room)
        return verdicts

    def _put_to_rest(self) -> dict[int, Verdict]:
        """Those whose desktops use least first."""
        wanted, rest = self._needed.times(MARGIN), list[int]()
        own = [host for host in self._hosts if host.awake and _why_not(host, self._rule) is None]
        for host in sorted(own, key=lambda each: (each.used_mib, -each.watts, each.id)):
            if host.room in self._refused:
                continue
            if why := _why_needed(host.room, self.awake, wanted, self._rule):
                self._refused[host.room] = why
            else:
                self.awake.remove(host.room)
                rest.append(host.id)
        why_all = self.quiet()
        return {id_: Verdict(id_, "rest", why_all) for id_ in rest}


def woken_for(hosts: Sequence[Host], rests: int, used: Amount, week: Week, hour: int, rule: Rule) -> Reason | None:
    """Why the node of this id would be woken at once, were it put to rest now; None where it would not."""
    awake = Awake([host.room for host in hosts if host.awake and host.id != rests])
    soon, _known = expected(used, week, hour, rule.ahead_hours)
    return _why_wake(awake, used, soon, hour, rule)


def expected(used: Amount, week: Week, hour: int, hours: int) -> tuple[Amount, bool]:
    """The most that is used now or was at the same hours, from this one on; and whether all of them are known."""
    coming = [week[(hour + ahead) % HOURS_A_WEEK] for ahead in range(hours + 1)]
    most = used
    for amount in coming:
        most = most.most(amount) if amount else most
    return most, None not in coming


def suffices(rooms: Sequence[Amount], needed: Amount, free: float) -> bool:
    """Whether nodes with these rooms have room for it, beside the share that is kept free, and for the loss of any."""
    awake = Awake(rooms)
    return awake.count >= LEAST_AWAKE and awake.bound(free).covers(needed)


class Awake:
    """The rooms of the nodes that are awake: their number and sum, and the largest."""

    def __init__(self, rooms: Sequence[Amount]) -> None:
        memory, cpus = [room.memory_mib for room in rooms], [room.cpus for room in rooms]
        self.count, self.total = len(rooms), Amount(sum(memory), sum(cpus))
        self.largest = Amount(max(memory, default=0.0), max(cpus, default=0.0))

    def add(self, room: Amount) -> None:
        """One more is awake."""
        self.count, self.total, self.largest = self.count + 1, self.total + room, self.largest.most(room)

    def remove(self, room: Amount) -> None:
        """One rests. The largest is taken to be as large as before: that errs on the safe side."""
        self.count, self.total = self.count - 1, self.total + room.times(-1)

    def bound(self, free: float, without: Amount = NOTHING) -> Amount:
        """What can be used at most of these, `without` one of them, so that the share stays free, and the loss of any
        of them leaves room."""
        total = self.total + without.times(-1)
        kept, left = total.times(1 - free), total + self.largest.times(-1)
        return Amount(min(kept.memory_mib, left.memory_mib), min(kept.cpus, left.cpus))


def _horizon(rule: Rule) -> int:
    """For so many hours nothing must be needed of what is put to rest."""
    return math.ceil(rule.settle_hours) + AHEAD_HOURS


def _may_rest_for(hours: int, hour: int, rule: Rule) -> bool:
    return all((hour + ahead) % HOURS_A_WEEK in rule.allowed for ahead in range(hours + 1))


def _why_wake(awake: Awake, used: Amount, soon: Amount, hour: int, rule: Rule) -> Reason | None:
    """Why more nodes are needed than these; None where they do."""
    if not _may_rest_for(rule.ahead_hours, hour, rule):
        return Reason("wake_hours")
    room = awake.bound(rule.free)
    for code, needed in (("wake_used", used), ("wake_soon", soon)):
        if awake.count < LEAST_AWAKE or not room.covers(needed):
            return Reason(code, {"need_mib": round(needed.memory_mib), "have_mib": round(room.memory_mib)})
    return None


def _why_not_at_all(known: bool, hour: int, rule: Rule) -> Reason | None:
    """Why no node is put to rest now; None where some may be."""
    if not _may_rest_for(_horizon(rule), hour, rule):
        return Reason("rest_hours")
    return None if known else Reason("rest_unknown")


def _why_not(host: Host, rule: Rule) -> Reason | None:
    """Why this one is not put to rest, whatever is needed; None where it may be."""
    if not host.may_rest:
        return Reason("rest_not_chosen")
    if host.hours < rule.settle_hours:
        return Reason("rest_settling", {"left_seconds": round((rule.settle_hours - host.hours) * 3600)})
    return None


def _why_needed(room: Amount, awake: Awake, wanted: Amount, rule: Rule) -> Reason | None:
    """Why a node of that room is needed, for so much; None where it is not."""
    if awake.count <= LEAST_AWAKE:
        return Reason("rest_last")
    left = awake.bound(rule.free, room)
    if left.covers(wanted):
        return None
    figures = {"need_mib": round(wanted.memory_mib), "have_mib": max(0, round(left.memory_mib))}
    return Reason("rest_needed", figures)


@dataclass(frozen=True, slots=True)
class Moment:
    """What was used in all during one step of the past; `hour` of the week."""

    hour: int
    used: Amount


@dataclass(frozen=True, slots=True)
class Turn:
    """In the step of this number a node was put to rest or woken, and why."""

    step: int
    node_id: int
    action: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Replay:
    """The past as it would have been. So many nodes were `awake`, or being woken, in each step; in `short` steps those
    had not the room that all together have had."""

    awake: tuple[int, ...]
    turns: tuple[Turn, ...]
    rested_hours: Mapping[int, float] = field(default_factory=dict)
    short: tuple[int, ...] = ()
    kwh: float = 0.0


def replay(hosts: Sequence[Host], moments: Sequence[Moment], week: Week, rule: Rule, step_hours: float) -> Replay:
    """Have the rule decide in each step of the past, all nodes being awake at first; one that is woken is up by the
    next step, and takes power until then."""
    now = {host.id: replace(host, awake=True, hours=math.inf) for host in hosts}
    on, turns, short = list[int](), list[Turn](), list[int]()
    rested = dict.fromkeys(now, 0.0)
    # Those that have changed lately: of the others it is no matter how long ago that was.
    lately: set[int] = set()
    for number, moment in enumerate(moments):
        up = [host.room for host in now.values() if host.awake]
        if not suffices(up, moment.used, 0.0) and suffices([host.room for host in hosts], moment.used, 0.0):
            short.append(number)
        for verdict in _Look(list(now.values()), moment.used, week, moment.hour, rule).turns().values():
            turns.append(Turn(number, verdict.node_id, verdict.action, verdict.reason))
            now[verdict.node_id] = replace(now[verdict.node_id], awake=verdict.action == "wake", hours=0.0)
            lately.add(verdict.node_id)
        for id_ in lately:
            now[id_] = replace(now[id_], hours=now[id_].hours + step_hours)
        lately = {id_ for id_ in lately if now[id_].hours < rule.settle_hours}
        asleep = [id_ for id_, host in now.items() if not host.awake]
        for id_ in asleep:
            rested[id_] += step_hours
        on.append(len(now) - len(asleep))
    kwh = sum(now[id_].watts * hours for id_, hours in rested.items()) / 1000
    return Replay(tuple(on), tuple(turns), rested, tuple(short), kwh)
