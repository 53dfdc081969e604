"""Moves whose guests were left on nodes that did not answer any more: taken up again once those are back, so that a
guest which stood still for its move goes on."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ravada_web.models import OVER, ROUND_NOW, Clone, CloneState, Node, Operation
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import MOVED_CLONE

_KINDS = kinds_on(MOVED_CLONE)


def take_up(session: Session, node: Node, *, came_back: bool) -> None:
    """Have the guests of a node that has come back go on whose moves have ended meanwhile, unless anything was done
    with them since: their moves look at them once more."""
    if not came_back or node.is_given_up:
        return
    left = (Operation.kind.in_(_KINDS), Operation.state.in_(OVER), Operation.result["stays"].as_integer() > 0)
    ids = select(Clone.id).join(Operation, Operation.id == Clone.operation_id).where(Clone.node_id == node.id, *left)
    stands = Clone.state.in_((CloneState.RUNNING, CloneState.PAUSED))
    again = {"state": CloneState.MOVING, "state_before": CloneState.RUNNING, "changed_round": ROUND_NOW}
    session.execute(update(Clone).where(Clone.id.in_(ids), stands).values(**again))
