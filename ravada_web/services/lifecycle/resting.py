"""The schedule by which nodes rest: what is set of it, what it says now, and the last week replayed by it.

`rest_work` does what it says, where that is switched on.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import (
    Cluster,
    Node,
    NodeSample,
    Operation,
    OperationState,
    RestStep,
    ServiceState,
    User,
    now,
)
from ravada_web.placement.resting import (
    AHEAD_HOURS,
    HOURS_A_WEEK,
    Amount,
    Decision,
    Host,
    Moment,
    Replay,
    Rule,
    Verdict,
    Week,
    decide,
    replay,
    woken_for,
)
from ravada_web.placement.types import Reason
from ravada_web.services.audit import events
from ravada_web.services.lifecycle import waking
from ravada_web.services.lifecycle.waking_work import WAKE_SECONDS
from ravada_web.services.nodes.history import SPANS
from ravada_web.services.paging import natural
from ravada_web.services.permissions import rights
from ravada_web.services.placements import loads, reserve
from ravada_web.services.placements.loads import Load
from ravada_web.services.transaction import hold_lock, transaction

# What an hour needs is looked at so much earlier than a host takes to be up.
SPARE = timedelta(minutes=5)
MOST_FREE_PERCENT, MOST_SETTLE_HOURS, MOST_WATTS = 90, 24, 100_000
DAY_HOURS, SATURDAY = 24, 5
# What is replayed, and by what was used before that it is decided: the samples of a month, of two hours each.
STEP, WEEK = SPANS["week"]
COARSE_STEP, MONTH = SPANS["month"]


@dataclass(frozen=True)
class Wishes:
    """What is set: the share of all room that is kept free; the hours between two changes of a node; between which
    hours of a day nodes may rest (alike: all day long), and whether all day on Saturdays and Sundays. By their ids, the
    nodes that may rest, and what each host takes."""

    free_percent: int
    settle_hours: int
    from_hour: int
    until_hour: int
    weekends: bool
    nodes: frozenset[int]
    watts: Mapping[int, int]


def save(actor: User, wishes: Wishes) -> None:
    """Change what is set. Raises NotAllowed, and InvalidInput with a reason for each field."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        hold_lock(session, "placement")  # as whatever puts nodes to rest, which locks them before the cluster's row
        if wrong := _wrong(session, wishes):
            raise InvalidInput(wrong)
        row = session.get_one(Cluster, reserve.ONLY, with_for_update=True, populate_existing=True)
        row.rest_free_percent, row.rest_settle_hours = wishes.free_percent, wishes.settle_hours
        row.rest_from, row.rest_until, row.rest_weekends = wishes.from_hour, wishes.until_hour, wishes.weekends
        for node in session.scalars(select(Node).order_by(Node.id)):
            node.may_rest, node.watts = node.id in wishes.nodes, wishes.watts.get(node.id, node.watts)
        events.record(session, actor, "set_schedule", row)


def _wrong(session: Session, wishes: Wishes) -> dict[str, Message]:
    ranges = {
        "free_percent": (wishes.free_percent, 0, MOST_FREE_PERCENT),
        "settle_hours": (wishes.settle_hours, 1, MOST_SETTLE_HOURS),
        "from_hour": (wishes.from_hour, 0, DAY_HOURS - 1),
        "until_hour": (wishes.until_hour, 0, DAY_HOURS - 1),
    }
    wrong = {
        name: message("nodes.range", least=least, most=most)
        for name, (value, least, most) in ranges.items()
        if not least <= value <= most
    }
    if not all(0 <= watts <= MOST_WATTS for watts in wishes.watts.values()):
        wrong["watts"] = message("resting.watts", most=MOST_WATTS)
    local = select(Node.name).where(Node.local, Node.id.in_(wishes.nodes))
    if name := session.scalar(local):
        wrong["nodes"] = message("resting.this_server", node=name)
    return wrong


@dataclass(frozen=True)
class Said:
    """What the schedule says of a node now."""

    node: Node
    action: str
    why: Message


@dataclass(frozen=True)
class Turned:
    """In the week that was replayed, these nodes would have been put to rest or woken, for one reason."""

    at: datetime
    nodes: Sequence[Node]
    action: str
    why: Message


@dataclass(frozen=True)
class Day:
    """A day of the week that was replayed: how many nodes would have been awake at least and at most, and for how many
    hours in all some would have rested."""

    at: datetime
    least: int
    most: int
    rested_hours: float


@dataclass(frozen=True)
class Present:
    """What the schedule says now. It is done in the name of `decided_by` ("" for nobody's), if it `acts`; `saved` is by
    what was done. `nodes` are all that could rest, those first that rest or may; `said` is what is said of those that
    serve, by their ids; `wakes_above_mib` the use of memory above which one more would be woken (None where none would
    rest)."""

    policy: Cluster
    decided_by: str
    acts: bool
    saved: "Saved"
    nodes: Sequence[Node]
    said: Mapping[int, Said]
    wakes_above_mib: int | None


@dataclass(frozen=True)
class Schedule(Present):
    """All that the page shows: what is said now, and `days`, `turned`, `rested_hours`, `short` and `kwh` of the replay;
    there is none without samples. `hindsight`: it knew the week that it was replayed over."""

    days: Sequence[Day]
    turned: Sequence[Turned]
    rested_hours: float
    short: Sequence[datetime]
    kwh: float
    hindsight: bool
    zone: str


@dataclass(frozen=True)
class Survey:
    """What the schedule says now, and what that rests on; `obstacles` are why nodes that are ticked cannot rest, by
    their ids."""

    moment: datetime
    nodes: Sequence[Node]
    hosts: Sequence[Host]
    used: Amount
    expected: Week
    rule: Rule
    decision: Decision
    obstacles: Mapping[int, Message]

    def why(self, verdict: Verdict) -> Message:
        """Why this becomes of a node, in words."""
        found = self.obstacles.get(verdict.node_id) if verdict.reason.code == "rest_not_chosen" else None
        return found or words(verdict.reason)

    def without(self, barred: Collection[int]) -> Decision:
        """What it would say if these nodes could not be put to rest."""
        hosts = [replace(host, may_rest=host.may_rest and host.id not in barred) for host in self.hosts]
        return decide(hosts, self.used, self.expected, hour_of(self.moment), self.rule)

    def woken_for(self, node_id: int) -> Reason | None:
        """Why a node would be woken at once, were it put to rest now; None where it would not."""
        rule = replace(self.rule, ahead_hours=AHEAD_HOURS)  # how long its own host takes to be up may not be known
        return woken_for(self.hosts, node_id, self.used, self.expected, hour_of(self.moment), rule)


def survey(session: Session) -> Survey:
    """What the schedule says of each node now; hold the placement lock to act by it."""
    return _survey(session, now())[0]


def _survey(session: Session, moment: datetime) -> tuple[Survey, Sequence[Moment], "_Samples"]:
    """The same; with what was used at each hour before the last week, and the samples of that week."""
    policy = session.get_one(Cluster, reserve.ONLY)
    query = select(Node).where(Node.service_state != ServiceState.GIVEN_UP).order_by(Node.name)
    nodes = session.scalars(query).all()
    counted = [node for node in nodes if _serves(node) or node.rests or node.leaves_to_rest]
    week, past = _used(session, STEP, moment - WEEK, moment), _used(session, COARSE_STEP, moment - MONTH, moment - WEEK)
    before = _hours(past, COARSE_STEP)
    expected = _week([*before, *_hours(week, STEP)])
    obstacles = why_not(session, counted)
    promised = loads.node_loads(session)
    hosts = [_host(node, _used_now(node, promised.get(node.id)), node.id in obstacles, moment) for node in counted]
    used = sum((_used_now(node, promised.get(node.id)) for node in counted), Amount())
    rule = _rule(policy, _ahead(session, counted, moment))
    decision = decide(hosts, used, expected, hour_of(moment), rule)
    return Survey(moment, nodes, hosts, used, expected, rule, decision, obstacles), before, week


def why_not(session: Session, nodes: Collection[Node]) -> dict[int, Message]:
    """Why those of these nodes that are ticked do not rest all the same, by their ids."""
    ticked = [node for node in nodes if node.may_rest]
    found = waking.obstacles(session, [node for node in ticked if not node.rests])
    found |= {node.id: message("nodes.no_root", node=node.name) for node in ticked if not node.allows_root}
    found |= {node.id: node.rest_held for node in ticked if node.rest_held}
    return found | {node.id: message("resting.this_server", node=node.name) for node in ticked if node.local}


def _ahead(session: Session, nodes: Collection[Node], moment: datetime) -> int:
    """For how many hours from now on it is looked whether more are needed: the next one counts as soon as the slowest
    host that rests would not be up by then, if it were woken a look later."""
    resting = [node.id for node in nodes if node.rests]
    took = _took(session, resting)
    lead = max((took.get(id_, WAKE_SECONDS) for id_ in resting), default=0.0)
    up_at = moment + timedelta(seconds=lead) + SPARE
    return int(hour_of(up_at) != hour_of(moment))


def _took(session: Session, node_ids: Collection[int]) -> dict[int, float]:
    """How many seconds each of these hosts took to be up when it was woken last, where that is known."""
    newest = select(func.max(Operation.id)).where(
        Operation.node_id.in_(node_ids), Operation.kind == waking.WAKE, Operation.state == OperationState.DONE
    )
    rows = session.scalars(select(Operation).where(Operation.id.in_(newest.group_by(Operation.node_id))))
    return {
        row.node_id: (row.finished_at - row.created_at).total_seconds()
        for row in rows
        if row.node_id and row.finished_at
    }


@dataclass(frozen=True)
class Described:
    """How far the rest of a node is, and what would wake it, in words."""

    step: Message
    wakes: Message


def described(node: Node) -> Described:
    """How far the rest of a node is, and what would wake it; empty messages for one that is awake."""
    if not node.rests and not node.leaves_to_rest:
        return Described(NOTHING, NOTHING)
    figures = {"since_at": node.rest_since} if node.rest_step == RestStep.RESTING else {}
    step = message(f"resting.step_{node.rest_step}", **figures)
    took = _took(db.session(), [node.id]).get(node.id)
    wakes = message("resting.wakes", took_seconds=took) if took is not None else message("resting.wakes_untried")
    return Described(step, wakes)


def person(session: Session) -> User | None:
    """In whose name nodes rest; None where they do not, or that person may no longer change nodes."""
    decided_by = session.get_one(Cluster, reserve.ONLY).rest_user_id
    found = session.get(User, decided_by) if decided_by else None
    return found if found is not None and rights.can(found, "nodes.change") else None


def look_now(viewer: User) -> Present:
    """What the schedule says now, without the replay, which takes a while with many nodes. Raises NotAllowed."""
    rights.require(viewer, "nodes.change")
    return Present(**_present(db.session(), survey(db.session())))


def _present(session: Session, seen: Survey) -> dict[str, Any]:
    policy, by_id = reserve.policy(), {node.id: node for node in seen.nodes}
    decided_by = session.get(User, policy.rest_user_id) if policy.rest_user_id else None
    return {
        "policy": policy,
        "decided_by": decided_by.name if decided_by else "",
        "acts": person(session) is not None,
        "saved": saved(policy, seen.nodes, seen.moment),
        "nodes": sorted((node for node in seen.nodes if not node.local), key=_order),
        "said": {each.node_id: _said(by_id[each.node_id], each, seen) for each in seen.decision.verdicts},
        "wakes_above_mib": _memory(seen.decision),
    }


def _order(node: Node) -> tuple[bool, bool, list[str | int]]:
    return not (node.rests or node.leaves_to_rest), not node.may_rest, natural(node.name)


def look(viewer: User) -> Schedule:
    """What the schedule says now, and would have said during the last week. Raises NotAllowed."""
    rights.require(viewer, "nodes.change")
    session, moment = db.session(), now()
    seen, past, week = _survey(session, moment)
    usual, by_id = _averages(session, moment), {node.id: node for node in seen.nodes}
    before = _week(past)
    hindsight = None in before
    hosts = [replace(host, used_mib=usual.get(host.id, Amount()).memory_mib) for host in seen.hosts]
    moments = [Moment(hour_of(at), amount) for at, amount in week]
    played = replay(
        hosts,
        moments,
        seen.expected if hindsight else before,
        replace(seen.rule, ahead_hours=AHEAD_HOURS),
        STEP / 3600,
    )
    return Schedule(
        **_present(session, seen),
        days=_days(week, played, len(hosts)),
        turned=_turned(week, played, by_id),
        rested_hours=sum(played.rested_hours.values()),
        short=[week[step][0] for step in played.short],
        kwh=played.kwh,
        hindsight=hindsight,
        zone=moment.astimezone().tzname() or "",
    )


def _said(node: Node, verdict: Verdict, seen: Survey) -> Said:
    """What is said of a node: what was found when it was to be put to rest last comes before what the rule says."""
    if verdict.action == "rest" and node.rest_note:
        return Said(node, "stays", node.rest_note)
    return Said(node, verdict.action, seen.why(verdict))


@dataclass(frozen=True)
class Saved:
    """For how many hours nodes have rested in all, and how many kWh that is by their watts."""

    hours: float
    kwh: float


def saved(policy: Cluster, nodes: Collection[Node], moment: datetime) -> Saved:
    """What real rests have saved so far, those included that are not over."""
    resting = [node for node in nodes if node.rests and node.rest_step == RestStep.RESTING]
    hours = {node: node.rest_hours(moment) for node in resting}
    kwh = sum(hour * node.watts / 1000 for node, hour in hours.items())
    return Saved(policy.rested_hours + sum(hours.values()), policy.rested_kwh + kwh)


def words(reason: Reason) -> Message:
    """A reason in words."""
    figures: dict[str, Any] = dict(reason.figures)
    return message(f"resting.{reason.code}", **figures)


def hour_of(moment: datetime) -> int:
    """The hour of the week, by this server's clock, from Monday 00:00 on."""
    local = moment.astimezone()
    return local.weekday() * DAY_HOURS + local.hour


def allowed(policy: Cluster) -> frozenset[int]:
    """The hours of the week in which nodes may rest."""
    first, last = policy.rest_from, policy.rest_until
    span = (last - first) % DAY_HOURS or DAY_HOURS
    of_day = {(first + hour) % DAY_HOURS for hour in range(span)}
    free = {hour for hour in range(HOURS_A_WEEK) if hour % DAY_HOURS in of_day}
    weekend = range(SATURDAY * DAY_HOURS, HOURS_A_WEEK) if policy.rest_weekends else ()
    return frozenset(free.union(weekend))


def _rule(policy: Cluster, ahead: int) -> Rule:
    return Rule(policy.rest_free_percent / 100, policy.rest_settle_hours, allowed(policy), ahead)


def _serves(node: Node) -> bool:
    return node.service_state == ServiceState.ENABLED and node.is_reachable and node.runs_clones


def _host(node: Node, used: Amount, barred: bool, moment: datetime) -> Host:
    room = Amount(max(0, (node.memory_total_mib or 0) - node.memory_reserve_mib), node.cpus or 0)
    hours = node.rest_hours(moment) if node.rest_since else math.inf
    may, awake = node.may_rest and not node.local and not barred, _serves(node)
    return Host(node.id, node.name, room, may, awake, used.memory_mib, hours, node.watts)


def _used_now(node: Node, promised: Load | None) -> Amount:
    """What is used there, as measured last, or promised to what runs, whichever is more; all of it where the first is
    not known; nothing of one that rests."""
    if node.rests:
        return Amount()
    if node.memory_total_mib is None or node.memory_free_mib is None:
        return Amount(node.memory_total_mib or 0, node.cpus or 0)
    beside = node.memory_total_mib - node.memory_free_mib - node.memory_reserve_mib
    return Amount(max(0, beside, promised.committed_mib if promised else 0), (node.cpu_load or 0) * (node.cpus or 0))


# What a sample's node used: memory beside that which is kept for the host, and processors.
_BESIDE = NodeSample.memory_used * Node.memory_total_mib - Node.memory_reserve_mib
_MEMORY: ColumnElement[Any] = case((_BESIDE > 0, _BESIDE), else_=0.0)
_CPUS: ColumnElement[Any] = NodeSample.cpu_load * Node.cpus


_Samples = list[tuple[datetime, Amount]]


def _used(session: Session, step: int, since: datetime, until: datetime) -> _Samples:
    """What was used in all, by the samples of a step, oldest first."""
    query = select(NodeSample.at, func.sum(_MEMORY), func.sum(_CPUS)).join(Node, Node.id == NodeSample.node_id)
    query = query.where(NodeSample.step == step, NodeSample.at >= since, NodeSample.at < until)
    rows = session.execute(query.group_by(NodeSample.at).order_by(NodeSample.at))
    return [(at, Amount(float(memory or 0), float(cpus or 0))) for at, memory, cpus in rows]


def _averages(session: Session, moment: datetime) -> dict[int, Amount]:
    """What each node used on average during the last week."""
    query = select(NodeSample.node_id, func.avg(_MEMORY)).join(Node, Node.id == NodeSample.node_id)
    query = query.where(NodeSample.step == STEP, NodeSample.at >= moment - WEEK)
    return {id_: Amount(float(memory or 0)) for id_, memory in session.execute(query.group_by(NodeSample.node_id))}


def _hours(samples: Sequence[tuple[datetime, Amount]], step: int) -> list[Moment]:
    """The hours of the week that each sample is of."""
    hours = range(max(1, step // 3600))
    return [Moment(hour_of(at + timedelta(hours=hour)), amount) for at, amount in samples for hour in hours]


def _week(moments: Sequence[Moment]) -> Week:
    """The most that was used in each hour of the week."""
    week: list[Amount | None] = [None] * HOURS_A_WEEK
    for moment in moments:
        week[moment.hour] = moment.used.most(week[moment.hour] or Amount())
    return week


def _memory(decision: Decision) -> int | None:
    return round(decision.wakes_above.memory_mib) if decision.wakes_above else None


def _turned(week: Sequence[tuple[datetime, Amount]], seen: Replay, nodes: Mapping[int, Node]) -> list[Turned]:
    """What would have been done, what was done at once for the same reason together."""
    together: dict[tuple[int, str, Message], list[Node]] = {}
    for turn in seen.turns:
        together.setdefault((turn.step, turn.action, words(turn.reason)), []).append(nodes[turn.node_id])
    return [Turned(week[step][0], found, action, why) for (step, action, why), found in together.items()]


def _days(week: Sequence[tuple[datetime, Amount]], seen: Replay, count: int) -> list[Day]:
    """The replay, day by day."""
    awake: dict[Any, list[int]] = {}
    first: dict[Any, datetime] = {}
    for (at, _used_then), number in zip(week, seen.awake, strict=True):
        day = at.astimezone().date()
        first.setdefault(day, at)
        awake.setdefault(day, []).append(number)
    return [
        Day(first[day], min(each), max(each), sum(count - number for number in each) * STEP / 3600)
        for day, each in awake.items()
    ]
