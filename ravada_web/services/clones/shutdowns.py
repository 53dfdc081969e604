"""Shutdowns that guests were asked for: how far each operation is and how it ends, by what was seen of its node.

No job waits for a guest. An operation that has asked is watched: `shutdown_watch` looks at its node about once a
second, and what it saw is written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session, joinedload

from ravada_web.clock import has_come, is_recent
from ravada_web.hypervisor.health import DomainState
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.messages.foreign import printable
from ravada_web.models import ROUND_NOW, Clone, CloneState, Operation, OperationState, now
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.hastening import waited_for
from ravada_web.services.operations.execution import end
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.requests import next_attempt
from ravada_web.services.operations.subjects import MOVED_CLONE, RESTARTED_CLONES
from ravada_web.services.transaction import transaction

# How long guests may take to shut down before the operation says that they have not.
SHUT_DOWN_SECONDS = 120.0
# A guest that boots ignores its power button: it is pressed again that often.
PRESS_SECONDS = 5.0


@dataclass(frozen=True)
class Seen:
    """What a node said: its domains by UUID, whether power buttons were pressed, and why for those that were not."""

    domains: Mapping[str, DomainState]
    pressed: bool = False
    unpressed: Mapping[str, Message] = field(default_factory=dict)

    def is_off(self, uuid: str) -> bool:
        """Whether the domain is off, or does not exist."""
        return uuid not in self.domains or self.domains[uuid].state == CloneState.STOPPED


def deadline() -> datetime:
    """Until when guests that are asked now may take to shut down."""
    return now() + timedelta(seconds=SHUT_DOWN_SECONDS)


def press_is_due(row: Operation) -> bool:
    """Whether the power buttons of a watched operation's clones are to be pressed again."""
    return not is_recent(row.asked_at, timedelta(seconds=PRESS_SECONDS)) and not _over(row)


def explain_unpressed(session: Session, operation_id: int, unpressed: Mapping[str, Message]) -> None:
    """Write why with each clone whose button could not be pressed; it is tried again."""
    for uuid, why in unpressed.items():
        session.execute(update(Clone).where(Clone.uuid == uuid, *_asked(operation_id)).values(reason=why))


def settle(operation_id: int, seen: Seen | None) -> None:
    """Write what was seen of a watched operation's node (None: it does not answer), and end it where it is over."""
    with transaction() as session:
        row = _watched(session, operation_id)
        if row is None:
            return
        left = _left(session, row)
        if seen:
            explain_unpressed(session, row.id, seen.unpressed)
            _take_off(session, row, [clone.id for clone in left if seen.is_off(clone.uuid)])
            row.asked_at = now() if seen.pressed else row.asked_at
            left = _left(session, row)
        if row.state != OperationState.WATCHED:
            return
        if row.cancel_asked or (left and _over(row)):
            _give_up(session, row, left, seen)
        elif left:
            _report(row, left, seen)
        else:
            _finish(session, row)


def fail(operation_id: int, error: Exception) -> None:
    """End a watched operation whose clones could not be settled."""
    with transaction() as session:
        if row := _watched(session, operation_id):
            end(session, row, OperationState.FAILED, message("operations.unexpected", error=printable(repr(error))))


def _over(row: Operation) -> bool:
    """Whether its time is over."""
    return row.watched_until is not None and has_come(row.watched_until, timedelta(seconds=SHUT_DOWN_SECONDS))


def _watched(session: Session, operation_id: int) -> Operation | None:
    query = select(Operation).where(Operation.id == operation_id, Operation.state == OperationState.WATCHED)
    return session.scalar(query.with_for_update())


def _asked(operation_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Those of the operation that are not off yet; what another operation has taken over since is left to it."""
    return Clone.operation_id == operation_id, Clone.state == CloneState.STOPPING


def _left(session: Session, row: Operation) -> Sequence[Clone]:
    query = select(Clone).where(*_asked(row.id)).options(joinedload(Clone.node)).order_by(Clone.id)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _take_off(session: Session, row: Operation, clone_ids: Sequence[int]) -> None:
    """Write that these are off: a restart starts them, a move goes on, and volatile ones are deleted otherwise."""
    if not clone_ids:
        return
    written = {"state": CloneState.STOPPED, "reason": NOTHING, "display": "", "out_of_space": False}
    owned = update(Clone).where(Clone.id.in_(clone_ids), *_asked(row.id))
    session.execute(owned.values(changed_round=ROUND_NOW, **written))
    off = session.scalars(
        select(Clone)
        .where(Clone.id.in_(clone_ids), Clone.operation_id == row.id, Clone.state == CloneState.STOPPED)
        .options(joinedload(Clone.node))
        .execution_options(populate_existing=True)
    ).all()
    result = row.result | {"off": row.result["off"] + len(off)}
    if off and row.kind in kinds_on(MOVED_CLONE):
        _go_on_moving(session, row)
    elif off and row.kind in kinds_on(RESTARTED_CLONES):
        soon = {clone.id for clone in off if row.awaited or clone.id in waited_for(row)}
        started = [
            number
            for awaited in (True, False)
            if (ids := [clone.id for clone in off if (clone.id in soon) == awaited])
            for number in clone_actions.start_placed(session, row.user, ids, awaited=awaited)
        ]
        result["starts"] = [*row.result.get("starts", ()), *started]
    elif volatile := [clone for clone in off if clone.volatile]:
        clone_actions.delete_volatile(session, volatile[0].node, [clone.id for clone in volatile])
    row.result = result


def _go_on_moving(session: Session, row: Operation) -> None:
    """One that was to be off first is moved now, unless that was cancelled."""
    if not row.cancel_asked:
        moved = {"state": CloneState.MOVING, "state_before": CloneState.STOPPED, "start_after": True}
        session.execute(update(Clone).where(Clone.operation_id == row.id).values(**moved))
        next_attempt(session, row)


def _report(row: Operation, left: Sequence[Clone], seen: Seen | None) -> None:
    off, asked = row.result["off"], row.result["asked"]
    row.progress = 100 * off // asked
    silent = NOTHING if seen else message("clones.node_silent", node=left[0].node.name)
    row.message = sentences(message("clones.off_so_far", off=off, count=asked), silent)


def _give_up(session: Session, row: Operation, left: Sequence[Clone], seen: Seen | None) -> None:
    """End it, cancelled or at its deadline; what is not off is again what it was seen to be."""
    for clone in left:
        why = _why_not(row, [clone], seen)
        is_now = seen.domains[clone.uuid] if seen else DomainState("", CloneState.UNREACHABLE)
        written = {"state": CloneState(is_now.state), "out_of_space": is_now.out_of_space}
        if is_now.state == CloneState.UNREACHABLE:
            written["state_before"] = ""  # somebody wanted it off: it is not started again with its node, or elsewhere
        owned = update(Clone).where(Clone.id == clone.id, *_asked(row.id))
        session.execute(owned.values(reason=is_now.reason or clone.reason or why, changed_round=ROUND_NOW, **written))
    state = OperationState.CANCELLED if row.cancel_asked else OperationState.FAILED
    end(session, row, state, _why_not(row, left, seen))


def _why_not(row: Operation, left: Sequence[Clone], seen: Seen | None) -> Message:
    if row.cancel_asked:
        return message("operations.cancelled")
    names = [clone.name for clone in left]
    if seen is None:
        return message("clones.shutdown_unknown", node=left[0].node.name, names=names)
    return message("clones.still_running", count=len(left), names=names, limit_seconds=SHUT_DOWN_SECONDS)


def _finish(session: Session, row: Operation) -> None:
    """End an operation of which nothing is left to shut down; a restart only when its starts are over."""
    starts = row.result.get("starts", [])
    begun = session.scalars(select(Operation).where(Operation.id.in_(starts))).all()
    if any(not start.over for start in begun):
        row.progress, row.message = 100, message("clones.starting_again")
        return
    if failures := [start.error for start in begun if start.state != OperationState.DONE]:
        # A retry of the restart starts these.
        unstarted = update(Clone).where(Clone.operation_id.in_(starts), Clone.state == CloneState.STOPPED)
        session.execute(unstarted.values(operation_id=row.id))
        end(session, row, OperationState.FAILED, sentences(*failures))
    elif row.result["off"]:
        end(session, row, OperationState.DONE)
    else:
        end(session, row, OperationState.CANCELLED, message("clones.shutdown_replaced"))
