"""Launching: one click from a card to a running desktop, created first where there is none."""

import re
import unicodedata

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Base, Clone, CloneState, Operation, User
from ravada_web.placement.filters import NOT_MEANT
from ravada_web.placement.types import Decision
from ravada_web.services.bases import offers
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones import second_look
from ravada_web.services.clones.errors import NodeRefuses, NoRoom
from ravada_web.services.clones.hastening import MAKING, hasten
from ravada_web.services.clones.obstacles import Obstacle, obstacle_of
from ravada_web.services.clones.requests import Request
from ravada_web.services.desktops import cards
from ravada_web.services.moves import plan_notes
from ravada_web.services.operations import outbox
from ravada_web.services.transaction import hold_lock, transaction

# Of the 40 characters of a prefix, how many its base's name may take; the owner's takes what is left.
BASE_PART, PREFIX_LENGTH = 20, 40


def launch(actor: User, clone_id: int) -> Clone:
    """Have one's own desktop, or one that the actor controls, run: started, resumed, or left on its way.

    Raises NotFound for a foreign one, Conflict with a reason for its user.
    """
    clone = clone_list.get(actor, clone_id)
    try:
        return second_look.persuaded(lambda: _launch(actor, clone_id), lambda: [clone.node_id])
    except NodeRefuses as error:
        raise Conflict(_not_launched(clone, error.obstacle)) from error


def _launch(actor: User, clone_id: int) -> Clone:
    with transaction() as session:
        clone = clone_list.get(actor, clone_id)
        if clone.state_in_use == CloneState.RUNNING:
            return clone
        if _on_its_way(clone):
            hasten(session, actor, clone)
            return clone
        if _is_on_a_plan(session, actor, clone):
            return clone
        if clone.state not in (CloneState.STOPPED, CloneState.PAUSED):
            raise Conflict(_why_not(clone))
        clone_actions.start(actor, [clone_id]).require_some()
        return clone


def _is_on_a_plan(session: Session, actor: User, clone: Clone) -> bool:
    """Whether a plan moves it to another node first: then it starts there."""
    if clone.state not in plan_notes.OFF:
        return False
    hold_lock(session, "placement")
    session.refresh(clone)
    return plan_notes.have_started(session, actor, clone)


def _on_its_way(clone: Clone) -> bool:
    if clone.state in MAKING:
        return clone.start_after
    operation = db.session.get(Operation, clone.operation_id or 0)
    return clone.state == CloneState.STARTING or cards.starts_again(clone, operation.kind if operation else "")


def _why_not(clone: Clone) -> Message:
    match clone.state:
        case CloneState.STOPPING:
            return message("desktops.shutting_down", name=clone.name)
        case CloneState.MOVING:
            return message("desktops.being_moved", name=clone.name)
        case CloneState.DELETING:
            return message("desktops.being_deleted", name=clone.name)
        case CloneState.FAILED:
            return message("desktops.broken", name=clone.name, why=clone.reason)
        case CloneState.UNREACHABLE:
            return _not_launched(clone, Obstacle.AWAY)
    return message("desktops.being_created", name=clone.name)


def _not_launched(clone: Clone, obstacle: Obstacle) -> Message:
    return message("desktops.not_launched", name=clone.name, why=cards.explain(obstacle, clone.node))


def launch_new(actor: User, base_id: int) -> Clone:
    """Create a desktop of an offered base for the actor, and start it; where there is one, launch that.

    It is serial with all other choices of nodes, so two clicks at once lead to the same desktop. Raises NotFound
    for a base that is not offered, Conflict with the reason in the user's words.
    """
    outbox.require_queue()
    try:
        return second_look.persuaded(lambda: _launch_new(actor, base_id))
    except NoRoom as error:
        raise Conflict(_no_room(db.session.get_one(Base, base_id), error.decision)) from error


def _launch_new(actor: User, base_id: int) -> Clone:
    with transaction() as session:
        hold_lock(session, "placement")
        base = offers.require_offered(session, actor, base_id)
        former = cards.desktop_of(actor, base.id)
        if former is not None:
            return launch(actor, former.id)
        one = Request(
            base_id=base.id,
            count=1,
            prefix=prefix(base, actor),
            owner=actor.name,
            volatile=base.offers_volatile,
            start_after=True,
        )
        decision = clone_requests.place_and_write(session, actor, one)
        return session.scalars(select(Clone).where(Clone.decision_id == decision.id)).one()


# What is in short supply for new desktops, where it is the same on every node that might take one.
SHORT = (Obstacle.NO_SPACE, Obstacle.NO_MEMORY, Obstacle.NO_PROCESSORS)


def _no_room(base: Base, decision: Decision) -> Message:
    """Why there is no room for a new desktop, in its user's words."""
    meant = [verdict.reason for verdict in decision.verdicts if verdict.reason and verdict.reason.code not in NOT_MEANT]
    found = {obstacle_of(reason) for reason in meant}
    if len(found) == 1 and (short := found.pop()) in SHORT:
        return message(f"desktops.no_room_{short}", base=base.name)
    return message("desktops.no_room", base=base.name)


def prefix(base: Base, owner: User) -> str:
    """What the name of a user's desktop begins with, by `clones.requests.PREFIX` whatever the two are called."""
    first = slug(base.name)[:BASE_PART].strip("-") or "desktop"
    rest = PREFIX_LENGTH - len(first) - 1
    second = slug(owner.name)[:rest].strip("-") or f"user{owner.id}"
    return f"{first}-{second}"


def slug(name: str) -> str:
    """The name in lower-case letters, digits and dashes alone; accents are dropped, "" where nothing is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
