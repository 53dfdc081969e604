"""The schedule by which nodes could rest: what is set of it, what it says now, and the last week replayed by it.

Nothing is shut down or woken by it: it shows what would be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Cluster, Node, NodeSample, ServiceState, User, now
from ravada_web.placement.resting import (
    HOURS_A_WEEK,
    Amount,
    Decision,
    Host,
    Moment,
    Replay,
    Rule,
    Week,
    decide,
    replay,
)
from ravada_web.placement.types import Reason
from ravada_web.services.audit import events
from ravada_web.services.nodes.history import SPANS
from ravada_web.services.permissions import rights
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import transaction

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
class Schedule:
    """All that pages show. `nodes` are all that could rest, `said` is what is said of those that serve, by their ids;
    `wakes_above_mib` the use of memory above which one more would be woken (None where none would rest). `days`,
    `turned`, `rested_hours`, `short` and `kwh` are of the replay; there is none without samples. `hindsight`:
    it knew the week that it was replayed over."""

    policy: Cluster
    nodes: Sequence[Node]
    said: Mapping[int, Said]
    wakes_above_mib: int | None
    days: Sequence[Day]
    turned: Sequence[Turned]
    rested_hours: float
    short: Sequence[datetime]
    kwh: float
    hindsight: bool
    zone: str


def look(viewer: User) -> Schedule:
    """What the schedule says now, and would have said during the last week. Raises NotAllowed."""
    rights.require(viewer, "nodes.change")
    session, moment = db.session(), now()
    policy = reserve.policy()
    nodes = session.scalars(select(Node).where(Node.service_state != ServiceState.GIVEN_UP).order_by(Node.name)).all()
    serving = [node for node in nodes if _serves(node)]
    rule, usual = _rule(policy), _averages(session, moment)
    week, past = _used(session, STEP, moment - WEEK, moment), _used(session, COARSE_STEP, moment - MONTH, moment - WEEK)
    expected = _week([*_hours(past, COARSE_STEP), *_hours(week, STEP)])
    used = sum((_used_now(node) for node in serving), Amount())
    decision = decide([_host(node, _used_now(node)) for node in serving], used, expected, hour_of(moment), rule)
    before = _week(_hours(past, COARSE_STEP))
    hindsight = None in before
    hosts = [_host(node, usual.get(node.id, Amount())) for node in serving]
    moments = [Moment(hour_of(at), amount) for at, amount in week]
    seen = replay(hosts, moments, expected if hindsight else before, rule, STEP / 3600)
    by_id = {node.id: node for node in nodes}
    return Schedule(
        policy=policy,
        nodes=[node for node in nodes if not node.local],
        said={each.node_id: Said(by_id[each.node_id], each.action, words(each.reason)) for each in decision.verdicts},
        wakes_above_mib=_memory(decision),
        days=_days(week, seen, len(hosts)),
        turned=_turned(week, seen, by_id),
        rested_hours=sum(seen.rested_hours.values()),
        short=[week[step][0] for step in seen.short],
        kwh=seen.kwh,
        hindsight=hindsight,
        zone=moment.astimezone().tzname() or "",
    )


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


def _rule(policy: Cluster) -> Rule:
    return Rule(policy.rest_free_percent / 100, policy.rest_settle_hours, allowed(policy))


def _serves(node: Node) -> bool:
    return node.service_state == ServiceState.ENABLED and node.is_reachable and node.runs_clones


def _host(node: Node, used: Amount) -> Host:
    room = Amount(max(0, (node.memory_total_mib or 0) - node.memory_reserve_mib), node.cpus or 0)
    may = node.may_rest and not node.local
    return Host(node.id, node.name, room, may, used_mib=used.memory_mib, watts=node.watts)


def _used_now(node: Node) -> Amount:
    """What is used there, as measured last; all of it where that is not known."""
    if node.memory_total_mib is None or node.memory_free_mib is None:
        return Amount(node.memory_total_mib or 0, node.cpus or 0)
    beside = node.memory_total_mib - node.memory_free_mib - node.memory_reserve_mib
    return Amount(max(0, beside), (node.cpu_load or 0) * (node.cpus or 0))


# What a sample's node used: memory beside that which is kept for the host, and processors.
_BESIDE = NodeSample.memory_used * Node.memory_total_mib - Node.memory_reserve_mib
_MEMORY: ColumnElement[Any] = case((_BESIDE > 0, _BESIDE), else_=0.0)
_CPUS: ColumnElement[Any] = NodeSample.cpu_load * Node.cpus


def _used(session: Session, step: int, since: datetime, until: datetime) -> list[tuple[datetime, Amount]]:
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
