"""When nodes are rebalanced by themselves, and what all rebalances keep to."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import (
    AT_WORK,
    OVER,
    Base,
    Clone,
    CloneState,
    Cluster,
    MovePlan,
    Node,
    Observed,
    Operation,
    ServiceState,
    User,
)
from ravada_web.placement.balance import imbalance
from ravada_web.placement.weighers import DEFAULT_WEIGHTS
from ravada_web.services.audit import events
from ravada_web.services.moves import rebalancing
from ravada_web.services.permissions import rights
from ravada_web.services.placements import loads, reserve
from ravada_web.services.transaction import hold_lock, transaction

# The load is looked at that often; so many looks are as many minutes.
LOOK_SECONDS = 60.0
LEAST_OVER, MOST_OVER = 5, 95
MOST_MINUTES, MOST_HOURS = 24 * 60, 30 * 24
# Work that goes with the death or the end of a node.
_AFTER_DEATHS = (
    "clones_remake",
    "node_return",
    "node_give_up",
    "node_replace",
    "fence_off",
    "host_off",
    "host_restart",
)


@dataclass(frozen=True)
class Rules:
    """So many moves at once; so many hours in which a desktop that was moved stays; and over so many percent of
    imbalance for so many minutes nodes are rebalanced by themselves, or never (None)."""

    at_once: int
    rest_hours: int
    over: int | None
    minutes: int


def rules() -> Rules:
    """What is decided now."""
    row = reserve.policy()
    return Rules(row.rebalance_at_once, row.rebalance_rest_hours, row.rebalance_over, row.rebalance_minutes)


def decided_by() -> tuple[str, bool]:
    """In whose name nodes are rebalanced by themselves ("" for nobody's), and whether that person still may."""
    row = reserve.policy()
    person = db.session.get(User, row.rebalance_user_id) if row.rebalance_user_id else None
    return (person.name, rights.can(person, "nodes.change")) if person else ("", False)


def decide(actor: User, chosen: Rules) -> None:
    """Have these rules from now on; nodes are then rebalanced by themselves in the actor's name. Raises NotAllowed, and
    InvalidInput with a reason for each field."""
    rights.require(actor, "nodes.change")
    if wrong := _wrong(chosen):
        raise InvalidInput(wrong)
    with transaction() as session:
        row = session.get_one(Cluster, reserve.ONLY, with_for_update=True, populate_existing=True)
        row.rebalance_at_once, row.rebalance_rest_hours = chosen.at_once, chosen.rest_hours
        row.rebalance_over, row.rebalance_minutes = chosen.over, chosen.minutes
        row.rebalance_user_id, row.uneven_looks = actor.id, 0
        events.record(session, actor, "set_rebalancing", row, _said(chosen))


def _wrong(chosen: Rules) -> dict[str, Message]:
    wrong = {}
    for name, least, most in (
        ("at_once", 1, rebalancing.MOST_AT_ONCE),
        ("rest_hours", 0, MOST_HOURS),
        ("over", LEAST_OVER, MOST_OVER),
        ("minutes", 1, MOST_MINUTES),
    ):
        value = getattr(chosen, name)
        if value is not None and not least <= value <= most:
            wrong[name] = message("rebalancing.range", least=least, most=most)
    return wrong


def _said(chosen: Rules) -> Message:
    if chosen.over is None:
        return message("rebalancing.never_by_itself")
    return message("rebalancing.set", over_percent=chosen.over, held_seconds=60 * chosen.minutes)


def due() -> list[Sequence[int]]:
    """One job, without arguments, where nodes may be rebalanced by themselves."""
    row = reserve.policy()
    return [()] if row.rebalance_over is not None and row.rebalance_user_id is not None else []


def look() -> None:
    """Measure the imbalance; begin a rebalance where it has been too much for so long, and all else is quiet."""
    with transaction() as session:
        hold_lock(session, "placement")
        row = session.get_one(Cluster, reserve.ONLY, with_for_update=True, populate_existing=True)
        if row.rebalance_over is None:
            return
        row.imbalance = round(100 * _imbalance(session))
        row.uneven_looks = row.uneven_looks + 1 if row.imbalance > row.rebalance_over else 0
        if row.uneven_looks >= row.rebalance_minutes and is_quiet(session):
            row.uneven_looks = 0
            _begin(session, row)


def _imbalance(session: Session) -> float:
    found = [(node_id, load.clones, load.committed_mib) for node_id, load in loads.node_loads(session).items()]
    return imbalance(loads.all_states(session), found, {**DEFAULT_WEIGHTS, **settings().weights})


def is_quiet(session: Session) -> bool:
    """Whether no other plan is at work, and no node's death is being dealt with."""
    down = (Node.seen != Observed.UP, Node.service_state.in_((ServiceState.ENABLED, ServiceState.DRAINING)))
    remade = (Clone.state == CloneState.UNREACHABLE, Clone.volatile, Base.remakes)
    work = (Operation.kind.in_(_AFTER_DEATHS), Operation.state.not_in(OVER))
    waits = (
        select(MovePlan.id).where(MovePlan.state.in_(AT_WORK)),
        select(Node.id).where(*down),
        select(Clone.id).join(Base, Base.id == Clone.base_id).where(*remade),
        select(Operation.id).where(*work),
    )
    return all(session.scalar(query.limit(1)) is None for query in waits)


def _begin(session: Session, row: Cluster) -> None:
    actor = session.get(User, row.rebalance_user_id) if row.rebalance_user_id else None
    if actor is None or row.rebalance_over is None or not rights.can(actor, "nodes.change"):
        return
    proposal = rebalancing.proposal_within(session)
    if proposal.moves:
        why = message(
            "rebalancing.by_itself",
            over_percent=row.rebalance_over,
            held_seconds=60 * row.rebalance_minutes,
            now_percent=row.imbalance,
        )
        rebalancing.begin_within(session, actor, proposal, row.rebalance_at_once, why)
