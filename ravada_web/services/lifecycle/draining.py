"""Draining nodes: what becomes of each clone there, asked for; then a plan of moves does it (`moves.plan_work`)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import (
    Clone,
    CloneState,
    MovePlan,
    MoveState,
    MoveWay,
    Node,
    PlanKind,
    PlannedMove,
    PlanState,
    ServiceState,
    User,
    now,
)
from ravada_web.placement.draining import Choices, Guest, room_after
from ravada_web.services.audit import events
from ravada_web.services.lifecycle import host_power
from ravada_web.services.lifecycle.held import held
from ravada_web.services.lifecycle.service_state import LONGEST_WHY, MOST_HOURS
from ravada_web.services.moves import plan_guests, plan_work, plans
from ravada_web.services.operations import outbox
from ravada_web.services.permissions import rights
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import hold_lock, transaction

# Users may stay for a week at most.
MOST_MINUTES = 7 * 24 * 60
MOST_AT_ONCE = 50
# The digest of who has seen no list.
UNSEEN = "unseen"
# What becomes of what runs once users' time is over; FORCE_OFF is for what is asked to shut down and does not.
SHUT_DOWN, FORCE_OFF, LEAVE = "shut_down", "force_off", "leave"


@dataclass(frozen=True)
class Wishes:
    """What a person chose: for how many minutes users may stay, what comes then (SHUT_DOWN, FORCE_OFF or LEAVE),
    whether what runs may move so, how many moves at once, whether missing copies of bases are brought; and the
    maintenance's reason and planned hours, or its end. `throws_away`: volatile ones that nobody uses are deleted, and
    do not move."""

    minutes: int = 60
    at_deadline: str = SHUT_DOWN
    live: bool = True
    at_once: int = 4
    brings: bool = True
    why: str = ""
    hours: int | None = None
    until: datetime | None = None
    throws_away: bool = True

    @property
    def shuts_down(self) -> bool:
        """Whether what runs is shut down once users' time is over."""
        return self.at_deadline in (SHUT_DOWN, FORCE_OFF)


@dataclass(frozen=True)
class Row:
    """What becomes of one clone: the way, the name of the node that it goes to, and why it waits or stays."""

    clone: Clone
    way: MoveWay
    target: str
    reason: Message


@dataclass(frozen=True)
class Preview:
    """What a drain would do now: a row for each clone, whether the loss of a node could be made up for afterwards, and
    a digest of what is there."""

    rows: Sequence[Row]
    room: Message
    is_short: bool
    digest: str
    deadline: datetime

    @property
    def groups(self) -> dict[MoveWay, list[Row]]:
        """The rows by their ways; those first that stay."""
        order = (MoveWay.STAYS, MoveWay.WAIT, MoveWay.SHUT_DOWN, MoveWay.THROW_AWAY, MoveWay.LIVE, MoveWay.COLD)
        found = {way: [row for row in self.rows if row.way == way] for way in order}
        return {way: rows for way, rows in found.items() if rows}


def preview(actor: User, nodes: Sequence[Node], wishes: Wishes) -> Preview:
    """What draining these nodes would do now. Raises NotAllowed."""
    rights.require(actor, "nodes.change")
    session, ids = db.session(), [node.id for node in nodes]
    leaving = frozenset(ids)
    clones = clones_on(session, ids)
    choices = Choices(
        leaving=leaving,
        live=wishes.live,
        late=wishes.minutes == 0,
        shuts_down=wishes.shuts_down,
        throws_away=wishes.throws_away,
        brings=wishes.brings,
    )
    decided = plan_guests.decide_all(session, [plan_guests.Leaver(clone) for clone in clones], choices)
    names = dict(session.execute(select(Node.id, Node.name)).all())
    rows = [
        Row(
            clone,
            MoveWay(outcome.way),
            names.get(outcome.to or 0, ""),
            plan_guests.reason_of(outcome, clone, names),
        )
        for clone, outcome in zip(clones, decided.outcomes, strict=True)
    ]
    cluster = reserve.cluster(session)
    short = room_after(cluster, decided.guests, decided.outcomes, leaving)
    room = message("plans.room_whole") if set(cluster.free_mib) - leaving else NOTHING
    if short:
        room = message("plans.room_short", node=names.get(short[0].node_id, ""), missing_mib=short[0].missing_mib)
    minutes = max(0, min(wishes.minutes, MOST_MINUTES))  # a refused form is shown, whatever was entered
    return Preview(rows, room, bool(short), _digest(decided.guests), now() + timedelta(minutes=minutes))


def _digest(guests: Sequence[Guest]) -> str:
    """A hash of what a person has to know before a drain: which clones there are, which run, and which are idle."""
    seen = sorted((guest.id, guest.running, guest.volatile and guest.in_use) for guest in guests)
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def request_drain(actor: User, node_ids: Sequence[int], wishes: Wishes, seen: str = "") -> MovePlan:
    """Drain nodes: from now on nothing is placed or started there, and what is there leaves, by one plan for all.
    `seen` is the digest of the preview that was confirmed, if there was one.

    Raises NotAllowed, NotFound, and InvalidInput with a reason for each field, and beside `nodes` for those that cannot
    be drained now.
    """
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    if wrong := _wrong(wishes):
        raise InvalidInput(wrong)
    with transaction() as session:
        hold_lock(session, "placement")
        nodes = [held(session, node_id) for node_id in sorted(set(node_ids))]
        if refused := refusals(nodes):
            raise InvalidInput({"nodes": sentences(*refused)})
        if seen and preview(actor, nodes, wishes).digest != seen:
            raise InvalidInput({"digest": message("plans.stale")})
        deadline = now() + timedelta(minutes=wishes.minutes)
        plan = plans.begin(
            session,
            PlanKind.DRAIN,
            actor,
            [plans.NewMove(clone) for clone in clones_on(session, [node.id for node in nodes])],
            nodes=nodes,
            choices=chosen(wishes) | {"hours": wishes.hours},
            deadline=deadline,
            why=wishes.why,
        )
        for node in nodes:
            _begin(session, actor, node, wishes, deadline)
        return plan


def refusals(nodes: Sequence[Node]) -> list[Message]:
    """Why these nodes cannot be drained now; nothing where they can."""
    return [refused for node in nodes if (refused := _refusal(node))] if nodes else [message("plans.no_node")]


def _refusal(node: Node) -> Message:
    refused = NOTHING
    if node.is_given_up:
        refused = message("nodes.given_up_already", node=node.name)
    elif node.service_state == ServiceState.NEW:
        refused = message("nodes.maintenance_new", node=node.name)
    elif node.service_state == ServiceState.DRAINING:
        refused = message("plans.draining_already", node=node.name)
    elif not node.is_reachable:
        refused = message("plans.node_not_up", node=node.name)
    elif host_power.under_way(node):
        refused = message("nodes.power_under_way", node=node.name)
    return refused


def _wrong(wishes: Wishes) -> dict[str, Message]:
    wrong: dict[str, Message] = {}
    if not 0 <= wishes.minutes <= MOST_MINUTES:
        wrong["minutes"] = message("plans.range", least=0, most=MOST_MINUTES)
    if not 1 <= wishes.at_once <= MOST_AT_ONCE:
        wrong["at_once"] = message("plans.range", least=1, most=MOST_AT_ONCE)
    if wishes.at_deadline not in (SHUT_DOWN, FORCE_OFF, LEAVE):
        wrong["at_deadline"] = message("nodes.choose")
    if wishes.hours is not None and not 1 <= wishes.hours <= MOST_HOURS:
        wrong["hours"] = message("nodes.optional_range", least=1, most=MOST_HOURS)
    if wishes.until is not None and wishes.until <= now():
        wrong["until"] = message("plans.in_the_past")
    if len(wishes.why) > LONGEST_WHY:
        wrong["why"] = message("nodes.notes_too_long", most=LONGEST_WHY)
    return wrong


def chosen(wishes: Wishes) -> dict[str, Any]:
    """The wishes as a plan keeps them."""
    return {
        "live": wishes.live,
        "shuts_down": wishes.shuts_down,
        "forces_off": wishes.at_deadline == FORCE_OFF,
        "at_once": wishes.at_once,
        "brings": wishes.brings,
        "throws_away": wishes.throws_away,
    }


def _begin(session: Session, actor: User, node: Node, wishes: Wishes, deadline: datetime) -> None:
    node.service_state, node.serves_as = ServiceState.DRAINING, ""
    node.maintenance_by, node.maintenance_why, node.maintenance_since = actor.name, wishes.why, now()
    node.maintenance_until = wishes.until if wishes.hours is None else now() + timedelta(hours=wishes.hours)
    events.record(session, actor, "drain", node, message("plans.users_until", until_at=deadline))


def clones_on(session: Session, node_ids: Sequence[int]) -> Sequence[Clone]:
    """What a drain of these nodes is about, in the order of their names."""
    here = (Clone.node_id.in_(node_ids), Clone.state != CloneState.DELETING)
    query = select(Clone).where(*here).options(*plan_guests.shown()).order_by(Clone.sort_name)
    return session.scalars(query).unique().all()


def under_way(node: Node) -> MovePlan | None:
    """The drain of the node that is under way."""
    return next(iter(plans.open_on(db.session(), [node.id])), None)


def to_show(viewer: User, node: Node) -> MovePlan | None:
    """The drain of the node that is under way, or the last one while the node is out of service because it stopped;
    None for who may not change nodes."""
    if not rights.can(viewer, "nodes.change"):
        return None
    if node.service_state == ServiceState.DRAINING:
        return under_way(node)
    last = plans.last_on(node) if node.service_state == ServiceState.DISABLED else None
    return last if last is not None and last.state == PlanState.STOPPED else None


def away_from(node: Node) -> int:
    """How many desktops that the last drain of the node has moved away are still where it brought them."""
    drain = plans.last_on(node)
    if drain is None or drain.ended_at is None:
        return 0
    moved = (PlannedMove.plan_id == drain.id, PlannedMove.from_id == node.id, PlannedMove.state == MoveState.DONE)
    there = select(func.count()).select_from(PlannedMove).join(PlannedMove.clone)
    return db.session.scalar(there.where(*moved, Clone.node_id == PlannedMove.to_id)) or 0


def request_bring_back(actor: User, node: Node, wishes: Wishes) -> MovePlan:
    """Have come home what the last drain of the node has moved away, a few at a time; what runs and cannot move so
    comes only once it is off. Raises NotAllowed, InvalidInput, and Conflict for a node that does not serve, and where
    there is nothing."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    if wrong := _wrong(wishes):
        raise InvalidInput(wrong)
    with transaction() as session:
        hold_lock(session, "placement")
        row = held(session, node.id)
        if row.service_state != ServiceState.ENABLED or not row.is_reachable:
            raise Conflict(message("plans.home_closed", node=row.name))
        if plans.open_on(session, [row.id], PlanKind.BRING_BACK):
            raise Conflict(message("plans.coming_home", node=row.name))
        drain = plans.last_on(row)
        deadline = now() + timedelta(minutes=wishes.minutes)
        plan = plan_work.bring_back(session, actor, [drain], chosen(wishes), deadline, row.id) if drain else None
        if plan is None:
            raise Conflict(message("plans.none_away", node=row.name))
        events.record(session, actor, "bring_home", row)
        return plan
