"""Plans of moves, and what becomes of each desktop in them."""

from datetime import datetime

from flask_babel import gettext as _

from ravada_web.messages import Message, message, sentences
from ravada_web.models import MovePlan, MoveState, MoveWay, PlanKind, PlannedMove
from ravada_web.services.lifecycle.draining import FORCE_OFF, LEAVE
from ravada_web.web.labels import moves
from ravada_web.web.labels.look import Look, look_of
from ravada_web.web.rendering import later as _l

WAYS = {
    MoveWay.LIVE: _l("Move while they run"),
    MoveWay.COLD: _l("Move"),
    MoveWay.SHUT_DOWN: _l("Shut down, then move"),
    MoveWay.THROW_AWAY: _l("Delete"),
    MoveWay.WAIT: _l("Wait"),
    MoveWay.STAYS: _l("Stay"),
}
STATES = {
    "proposed": Look(_l("Proposed"), "blue", "clock"),
    "open": Look(_l("Under way"), "blue", "loader-2", busy=True),
    "cancelling": Look(_l("Being cancelled"), "orange", "loader-2", busy=True),
    "done": Look(_l("Done"), "green", "circle-check"),
    "stopped": Look(_l("Stopped"), "orange", "alert-triangle"),
    "cancelled": Look(_l("Cancelled"), "secondary", "circle-x"),
}
_UNDER_WAY = {
    MoveWay.SHUT_DOWN: Look(_l("Shutting down"), "blue", "loader-2", busy=True),
    MoveWay.THROW_AWAY: Look(_l("Deleting"), "blue", "loader-2", busy=True),
}
_MOVING = Look(_l("Moving"), "blue", "loader-2", busy=True)
_WAITING = {
    MoveWay.STAYS: Look(_l("Can’t leave yet"), "orange", "alert-triangle"),
    MoveWay.SHUT_DOWN: Look(_l("Shuts down later"), "blue", "clock"),
}
_DELETED = Look(_l("Deleted"), "green", "circle-check")


def of(move: PlannedMove) -> Look:
    """How far it is with one desktop."""
    way = MoveWay(move.way)
    if move.state == MoveState.UNDER_WAY:
        return _UNDER_WAY.get(way, _MOVING)
    if move.state == MoveState.WAITING and way in _WAITING:
        return _WAITING[way]
    if move.state == MoveState.DONE and way not in (MoveWay.COLD, MoveWay.LIVE):
        return _DELETED
    return look_of(moves.STATES, move.state)


def why(plan: MovePlan) -> Message | str:
    """Why it was begun: in its person's words, or why the nodes were rebalanced."""
    return plan.why or Message.from_json(plan.picture.get("why"))


def reason(plan: MovePlan, move: PlannedMove) -> Message:
    """Why a desktop is not moving, or why it is to."""
    return move.reason or Message.from_json(plan.picture.get("reasons", {}).get(str(move.clone_id)))


def title(plan: MovePlan) -> str:
    """What a plan is for."""
    nodes = ", ".join(about.node.name for about in plan.nodes)
    match plan.kind:
        case PlanKind.DRAIN:
            return _("Drain of %(nodes)s", nodes=nodes)
        case PlanKind.BRING_BACK:
            return _("Desktops back to %(nodes)s", nodes=nodes)
    return _("Rebalance")


def hint(way: MoveWay, deadline: datetime, at_deadline: str) -> Message:
    """What a way means to the desktops."""
    kind = "wait_leave" if way == MoveWay.WAIT and at_deadline == LEAVE else way
    hint = message(f"plans.hint_{kind}", until_at=deadline)
    is_forced = at_deadline == FORCE_OFF and way in (MoveWay.SHUT_DOWN, MoveWay.WAIT)
    return sentences(hint, message("plans.hint_forced")) if is_forced else hint
