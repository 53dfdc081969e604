"""How what is under way for a plan has gone: read from the clones and their operations, which others end."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import (
    UNSETTLED,
    Clone,
    CloneState,
    MovePlan,
    MoveState,
    MoveWay,
    Operation,
    OperationState,
    PlannedMove,
    PlanState,
    now,
)
from ravada_web.services.moves import plans
from ravada_web.services.moves.plan_guests import ON, shown

# After so many failures one stays where it is.
TRIES = 3
MOVING = (MoveWay.COLD, MoveWay.LIVE)
# The state in which a clone's operation has it.
WORKED_ON: dict[str, str] = {
    MoveWay.COLD: CloneState.MOVING,
    MoveWay.LIVE: CloneState.MOVING,
    MoveWay.SHUT_DOWN: CloneState.STOPPING,
    MoveWay.THROW_AWAY: CloneState.DELETING,
}


def unsettled(session: Session, plan: MovePlan) -> Sequence[PlannedMove]:
    """The planned moves that are not over, with their clones and operations, as they stand now."""
    query = (
        select(PlannedMove)
        .where(PlannedMove.plan_id == plan.id, PlannedMove.state.in_(UNSETTLED))
        .options(joinedload(PlannedMove.clone).options(*shown()), joinedload(PlannedMove.operation))
        .order_by(PlannedMove.id)
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).unique().all()


def follow(session: Session, plan: MovePlan, moves: Sequence[PlannedMove]) -> None:
    """Write what has come of each; those that ran and have moved are started again."""
    arrived: list[PlannedMove] = []
    stranded: list[PlannedMove] = []
    for move in moves:
        clone = move.clone
        if clone is None:
            thrown = move.way == MoveWay.THROW_AWAY or (move.way == MoveWay.SHUT_DOWN and not move.starts)
            end(move, MoveState.DONE if thrown else MoveState.GONE, NOTHING if thrown else message("plans.deleted"))
        elif clone.node_id != move.from_id:
            if _has_arrived(move, clone):
                arrived.append(move)
        elif move.state == MoveState.UNDER_WAY:
            _follow_here(plan, move, clone)
            if plan.state == PlanState.CANCELLING and move.state == MoveState.WAITING:
                end(move, MoveState.CANCELLED, move.reason or message("plans.was_cancelled"))
                stranded.append(move)
    session.flush()
    plans.start_again(session, plan, [move for move in [*arrived, *stranded] if move.starts])


def _has_arrived(move: PlannedMove, clone: Clone) -> bool:
    """Write that it is on another node by now; returns whether it is where it was to go, and off."""
    if clone.state == CloneState.MOVING:
        if move.operation is not None and move.operation.state == OperationState.WATCHED:
            end(move, MoveState.DONE, move.operation.message)  # it has left; its new node is waited for without us
        return False
    if move.state == MoveState.UNDER_WAY and move.way in MOVING and clone.node_id == move.to_id:
        failed = clone.state == CloneState.FAILED
        end(move, MoveState.STAYS if failed else MoveState.DONE, clone.reason if failed else NOTHING)
        return not failed
    end(move, MoveState.GONE, message("plans.elsewhere", node=clone.node.name))
    return False


def _follow_here(plan: MovePlan, move: PlannedMove, clone: Clone) -> None:
    """Write what has come of one that is where it was."""
    operation = move.operation
    if operation is not None and not operation.over:
        return
    if move.way == MoveWay.SHUT_DOWN and clone.state == CloneState.STOPPED:
        # What it took to have it off says nothing of its move.
        move.state, move.way, move.operation_id, move.tries = MoveState.WAITING, MoveWay.COLD, None, 0
        return
    if move.way in MOVING and clone.state != CloneState.MOVING:
        if operation is not None and operation.state == OperationState.CANCELLED and operation.cancel_asked:
            _again(move, message("plans.move_cancelled"))
            move.tries = TRIES
        else:
            _again(move, operation.error if operation is not None else clone.reason)
            move.refused = [*move.refused, *([move.to_id] if move.to_id and move.way == MoveWay.COLD else [])]
    elif clone.state != WORKED_ON.get(move.way):
        _again(move, clone.reason)
    is_forced = _has_ignored(move, operation, clone) and bool(plan.choices.get("forces_off"))
    if move.tries >= TRIES and move.state == MoveState.WAITING and not is_forced:
        end(move, MoveState.STAYS, move.reason)


def _has_ignored(move: PlannedMove, operation: Operation | None, clone: Clone) -> bool:
    """Whether the guest was asked to shut down by this operation and was seen running at its end, which is kept: a
    shutdown that was cancelled or could not be asked for was not ignored, nor was a move."""
    if operation is None or move.state != MoveState.WAITING or clone.state not in ON:
        return False
    ignored = operation.state == OperationState.FAILED and operation.error.kind == "clones.still_running"
    if ignored and clone.name in operation.error.figures.get("names", ()):
        move.ignored = True
        return True
    return False


def _again(move: PlannedMove, why: Message) -> None:
    move.state, move.reason, move.operation_id, move.tries = MoveState.WAITING, why, None, move.tries + 1


def end(move: PlannedMove, state: MoveState, why: Message) -> None:
    """Write how one has ended."""
    move.state, move.reason, move.ended_at = state, why, now()
