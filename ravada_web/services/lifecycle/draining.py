"""Draining nodes: what becomes of each clone there, asked for; then a plan of moves does it (`moves.plan_work`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Clone, CloneState, MovePlan, Node, PlanKind, ServiceState, User, now
from ravada_web.services.audit import events
from ravada_web.services.lifecycle.held import held
from ravada_web.services.lifecycle.service_state import LONGEST_WHY, MOST_HOURS
from ravada_web.services.moves import plan_guests, plans
from ravada_web.services.operations import outbox
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import hold_lock, transaction

# Users may stay for a week at most.
MOST_MINUTES = 7 * 24 * 60
MOST_AT_ONCE = 50
# What becomes of what runs once users' time is over.
SHUT_DOWN, LEAVE = "shut_down", "leave"


@dataclass(frozen=True)
class Wishes:
    """What a person chose: for how many minutes users may stay, what comes then (SHUT_DOWN or LEAVE), whether what runs
    may move so, how many moves at once, whether missing copies of bases are brought; and the maintenance's reason and
    planned hours."""

    minutes: int = 60
    at_deadline: str = SHUT_DOWN
    live: bool = False
    at_once: int = 4
    brings: bool = True
    why: str = ""
    hours: int | None = None


def request_drain(actor: User, node_ids: Sequence[int], wishes: Wishes) -> MovePlan:
    """Drain nodes: from now on nothing is placed or started there, and what is there leaves, by one plan for all.

    Raises NotAllowed, InvalidInput with a reason for each field, NotFound, and Conflict for a node that is not up, not
    in service yet, given up, or being drained.
    """
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    if wrong := _wrong(wishes):
        raise InvalidInput(wrong)
    with transaction() as session:
        hold_lock(session, "placement")
        nodes = [held(session, node_id) for node_id in sorted(set(node_ids))]
        if not nodes:
            raise InvalidInput({"nodes": message("plans.no_node")})
        for node in nodes:
            require_drainable(node)
        deadline = now() + timedelta(minutes=wishes.minutes)
        plan = plans.begin(
            session,
            PlanKind.DRAIN,
            actor,
            [plans.NewMove(clone) for clone in clones_on(session, [node.id for node in nodes])],
            nodes=nodes,
            choices=_choices(wishes),
            deadline=deadline,
            why=wishes.why,
        )
        for node in nodes:
            _begin(session, actor, node, wishes, deadline)
        return plan


def require_drainable(node: Node) -> None:
    """Raises Conflict for a node that cannot be drained now."""
    refused: Message | None = None
    if node.is_given_up:
        refused = message("nodes.given_up_already", node=node.name)
    elif node.service_state == ServiceState.NEW:
        refused = message("nodes.maintenance_new", node=node.name)
    elif node.service_state == ServiceState.DRAINING:
        refused = message("plans.draining_already", node=node.name)
    elif not node.is_reachable:
        refused = message("plans.node_not_up", node=node.name)
    if refused:
        raise Conflict(refused)


def _wrong(wishes: Wishes) -> dict[str, Message]:
    wrong: dict[str, Message] = {}
    if not 0 <= wishes.minutes <= MOST_MINUTES:
        wrong["minutes"] = message("plans.range", least=0, most=MOST_MINUTES)
    if not 1 <= wishes.at_once <= MOST_AT_ONCE:
        wrong["at_once"] = message("plans.range", least=1, most=MOST_AT_ONCE)
    if wishes.at_deadline not in (SHUT_DOWN, LEAVE):
        wrong["at_deadline"] = message("nodes.choose")
    if wishes.hours is not None and not 1 <= wishes.hours <= MOST_HOURS:
        wrong["hours"] = message("nodes.optional_range", least=1, most=MOST_HOURS)
    if len(wishes.why) > LONGEST_WHY:
        wrong["why"] = message("nodes.notes_too_long", most=LONGEST_WHY)
    return wrong


def _choices(wishes: Wishes) -> dict[str, Any]:
    return {
        "live": wishes.live,
        "shuts_down": wishes.at_deadline == SHUT_DOWN,
        "at_once": wishes.at_once,
        "brings": wishes.brings,
    }


def _begin(session: Session, actor: User, node: Node, wishes: Wishes, deadline: datetime) -> None:
    node.service_state, node.serves_as = ServiceState.DRAINING, ""
    node.maintenance_by, node.maintenance_why, node.maintenance_since = actor.name, wishes.why, now()
    node.maintenance_until = None if wishes.hours is None else now() + timedelta(hours=wishes.hours)
    events.record(session, actor, "drain", node, message("plans.users_until", until_at=deadline))


def clones_on(session: Session, node_ids: Sequence[int]) -> Sequence[Clone]:
    """What a drain of these nodes is about, in the order of their names."""
    here = (Clone.node_id.in_(node_ids), Clone.state != CloneState.DELETING)
    query = select(Clone).where(*here).options(*plan_guests.shown()).order_by(Clone.sort_name)
    return session.scalars(query).unique().all()


def under_way(node: Node) -> MovePlan | None:
    """The drain of the node that is under way."""
    return next(iter(plans.open_on(db.session(), [node.id])), None)
