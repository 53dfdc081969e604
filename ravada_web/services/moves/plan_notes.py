"""What users are told of plans that their desktops are in, and what their launching one means to it."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from ravada_web.clock import now
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import AT_WORK, UNSETTLED, Clone, CloneState, MovePlan, MoveState, MoveWay, PlannedMove, User
from ravada_web.services.people import quotas

OFF = (CloneState.STOPPED, CloneState.MOVING)


def notes(session: Session, clones: Collection[Clone]) -> Mapping[int, Message]:
    """What the users of these clones are to know, by the clones' ids; nothing for one that nothing happens to."""
    by_id = {clone.id: clone for clone in clones}
    query = _open(list(by_id)).options(joinedload(PlannedMove.plan))
    said = {move.clone_id or 0: _note(move, by_id[move.clone_id or 0]) for move in session.scalars(query)}
    return {clone_id: note for clone_id, note in said.items() if note}


def _open(clone_ids: Collection[int]) -> Select[PlannedMove]:
    open_now = (PlannedMove.state.in_(UNSETTLED), MovePlan.state.in_(AT_WORK))
    return select(PlannedMove).join(PlannedMove.plan).where(PlannedMove.clone_id.in_(clone_ids), *open_now)


def _note(move: PlannedMove, clone: Clone) -> Message:
    deadline: datetime | None = move.plan.deadline
    shuts_down = bool(move.plan.choices.get("shuts_down")) and deadline is not None and deadline > now()
    if move.way == MoveWay.LIVE:
        return message("plans.told_live")
    if clone.state in OFF:
        if move.way != MoveWay.COLD:
            return NOTHING
        return message("plans.told_starts") if move.starts else message("plans.told_off")
    if clone.state != CloneState.RUNNING or move.state != MoveState.WAITING:
        return NOTHING
    if move.way == MoveWay.SHUT_DOWN and shuts_down:
        return message("plans.told_shut_down", until_at=deadline)
    if move.way == MoveWay.WAIT and clone.volatile and shuts_down:
        return message("plans.told_deleted", until_at=deadline)
    return message("plans.told_wait") if move.way == MoveWay.WAIT and not clone.volatile else NOTHING


def have_started(session: Session, actor: User, clone: Clone) -> bool:
    """Have one that is off, or is being moved, and that a plan has on its way started as soon as it is there, before
    all others; returns whether there is such a plan. Raises Conflict where that would exceed its owner's quota."""
    moves = session.scalars(
        _open([clone.id]).where(PlannedMove.way == MoveWay.COLD).with_for_update(of=PlannedMove)
    ).all()
    if not moves or clone.state not in OFF:
        return False
    if not all(move.starts for move in moves):
        quotas.require(session, clone.owner, new_clones=0, starting=1, memory_mib=clone.memory_mib, actor=actor)
    for move in moves:
        move.starts = True
    return True
