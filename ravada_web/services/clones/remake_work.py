"""Making a dead node's volatile clones again on other nodes: placed by the job, and by later looks what found no room.

The operation is one line for the whole death: the clones that it places are made by operations of their own, and it is
watched until all are there. A node that dies meanwhile has an operation of its own for what it was given.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from ravada_web.clock import has_come
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import (
    USING_MEMORY,
    AllowedNode,
    Base,
    Cause,
    Clone,
    CloneNic,
    CloneState,
    Console,
    Node,
    Operation,
    OperationState,
    now,
)
from ravada_web.services.audit import events
from ravada_web.services.batches import grouped
from ravada_web.services.clones import remains
from ravada_web.services.clones.remaking import lost_on
from ravada_web.services.clones.requests import give_cards, queue_creation
from ravada_web.services.operations.execution import Handle, end
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import LOST_CLONES
from ravada_web.services.placements import choice as placement_choice
from ravada_web.services.transaction import hold_lock, hold_rows, transaction

log = structlog.get_logger()
# What has found no room by then is asked for anew, so that a list shows that it still waits.
WAITS = timedelta(days=1)
# Whose turn comes first: those with an open console, those that ran or were to, and those that were off.
VIEWED, IN_USE, IDLE = range(3)
# A console that closed so long before its node was last seen was not closed by its death.
CLOSED_BEFORE = timedelta(seconds=2)
MAKING = (CloneState.REQUESTED, CloneState.CREATING, CloneState.STARTING)


def remake(handle: Handle) -> None:
    """Place what the node has lost, as far as there is room; how the rest goes is watched."""
    with handle.writing("placement") as session:
        row = session.get_one(Operation, handle.operation_id)
        handle.result = _round(session, row, row.result)
        # Written here too: should this process die before it ends, its successor knows what was placed.
        row.result = handle.result
    handle.watched_until = now() + WAITS


def due() -> list[Sequence[int]]:
    """The ids of the operations that are watched, for one job; nothing where there is none."""
    kinds = kinds_on(LOST_CLONES)
    query = select(Operation.id).where(Operation.state == OperationState.WATCHED, Operation.kind.in_(kinds))
    ids = db.session.scalars(query.order_by(Operation.id)).all()
    return [ids] if ids else []


def watch(operation_ids: Sequence[int]) -> None:
    """Place what waits, in the order of the deaths, and end what is over; what goes wrong with one ends that one."""
    for operation_id in operation_ids:
        with guarded(partial(_fail, operation_id), operation=operation_id):
            _look(operation_id)


def _look(operation_id: int) -> None:
    with transaction() as session:
        hold_lock(session, "placement")
        row = _watched(session, operation_id)
        if row is None:
            return
        if row.cancel_asked:
            end(session, row, OperationState.CANCELLED, message("operations.cancelled"))
            return
        row.result = _round(session, row, row.result)
        _settle(session, row)


def _fail(operation_id: int, why: Message) -> None:
    with transaction() as session:
        if row := _watched(session, operation_id):
            end(session, row, OperationState.FAILED, why)


def _watched(session: Session, operation_id: int) -> Operation | None:
    query = select(Operation).where(Operation.id == operation_id, Operation.state == OperationState.WATCHED)
    return session.scalar(query.with_for_update(key_share=True).execution_options(populate_existing=True))


def _round(session: Session, row: Operation, result: Mapping[str, Any]) -> dict[str, Any]:
    """Place what can be placed now; returns the operation's result: the `decisions`, how many were `placed`, and how
    many are `waiting`."""
    # Kept as it is: whether it is known to be off decides what its clones keep.
    node = session.get_one(Node, row.node_id, with_for_update={"key_share": True}, populate_existing=True)
    lost = _in_order(session, node, _lost(session, node))
    decisions: list[int] = list(result.get("decisions", ()))
    waiting: list[Clone] = []
    for (turn, base, _gone), alike in grouped(lost, lambda pair: (pair[0], pair[1].base, pair[1].lost)).items():
        clones = [clone for _turn, clone in alike]
        placed, decision_id = _place(session, node, base, clones, turn)
        decisions += [decision_id] if placed else []
        waiting += clones[placed:]
    _have_wait(session, row, node, waiting)
    count = result.get("placed", 0) + len(lost) - len(waiting)
    return {"decisions": decisions, "placed": count, "waiting": len(waiting)}


def _lost(session: Session, node: Node) -> Sequence[Clone]:
    """The node's clones that are to be made again, kept as they are until the transaction's end."""
    query = select(Clone).join(Clone.base).join(Clone.node).outerjoin(Operation, Operation.id == Clone.operation_id)
    which = query.where(*lost_on(node.id))
    hold_rows(session, Clone, session.scalars(which.with_only_columns(Clone.id)).all())
    shown = (contains_eager(Clone.base), joinedload(Clone.owner), joinedload(Clone.version))
    return session.scalars(which.options(*shown).execution_options(populate_existing=True)).all()


def _in_order(session: Session, node: Node, lost: Sequence[Clone]) -> list[tuple[int, Clone]]:
    """The clones with their turns, those first that somebody sits in front of; of a turn the largest first, since what
    is free on a node between large ones is room for small ones, and not the other way round."""
    ids = [clone.id for clone in lost]
    cut: ColumnElement[bool] = Console.closed_at.is_(None)
    if node.last_seen_at is not None:
        cut = or_(cut, Console.closed_at > node.last_seen_at - CLOSED_BEFORE)
    viewed = set(session.scalars(select(Console.clone_id).where(Console.clone_id.in_(ids), cut)))
    turns = [(VIEWED if clone.id in viewed else IN_USE if _in_use(clone) else IDLE, clone) for clone in lost]
    return sorted(turns, key=lambda pair: (pair[0], -pair[1].base.memory_mib, pair[1].sort_name))


def _in_use(clone: Clone) -> bool:
    """Whether it ran, or was to run, when its node died."""
    if clone.state in (CloneState.REQUESTED, CloneState.CREATING, CloneState.FAILED):
        return clone.start_after
    return clone.state != CloneState.UNREACHABLE or clone.state_before in USING_MEMORY


def _place(session: Session, node: Node, base: Base, clones: Sequence[Clone], turn: int) -> tuple[int, int]:
    """Place as many of these clones as there is room for, the first ones; returns how many, and the decision's id."""
    version, start = base.current, turn != IDLE
    allowed = select(AllowedNode.node_id).where(AllowedNode.base_id == base.id)
    if lost := clones[0].lost:  # the node itself may be the place: another host is it now
        why = message("clones.made_again_anew", node=node.name)
    else:
        allowed = allowed.where(AllowedNode.node_id != node.id)
        why = message("clones.made_again", node=node.name, died_at=node.observed_at)
    if version is None or session.scalar(allowed.limit(1)) is None:
        return 0, 0
    choice = placement_choice.choose(session, base, version, len(clones), start, allowed, again=True)
    if not choice.fits:
        return 0, 0
    if not choice.complete:
        choice = placement_choice.choose(session, base, version, choice.fits, start, allowed, again=True)
    decision = placement_choice.record(session, base, None, choice, why)
    placed = list(zip(clones, choice.placed, strict=False))
    if not lost:
        remains.leave(session, [clone for clone, _to in placed], Cause.MADE_AGAIN)
    _move(session, node, placed, decision.id, start)
    queue_creation(session, None, base, [(clone.id, to) for clone, to in placed], awaited=turn == VIEWED, starts=True)
    return len(placed), decision.id


def _move(session: Session, node: Node, placed: Sequence[tuple[Clone, int]], decision_id: int, start: bool) -> None:
    """Give the clones their new places: the rows are the same, what stands for them on a node is new. They keep their
    MAC addresses only where nothing on the former node can still use them."""
    rounds = dict(session.execute(select(Node.id, Node.rounds_begun)).all())
    for clone, node_id in placed:
        base = clone.base
        assert base.current is not None, "placed by its caller"
        clone.uuid, clone.node_id, clone.version_id = str(uuid.uuid4()), node_id, base.current.id
        clone.memory_mib, clone.decision_id = base.memory_mib, decision_id
        clone.state, clone.state_before, clone.reason, clone.start_after = CloneState.REQUESTED, "", NOTHING, start
        clone.started_at, clone.started_round, clone.display, clone.out_of_space = None, None, "", False
        clone.lost = False
        clone.made_round = clone.changed_round = rounds[node_id]
    session.flush()
    if node.is_known_off:
        node.known_off_used = True
        return
    for nics, alike in grouped([clone for clone, _node_id in placed], lambda clone: clone.base.nics).items():
        ids = [clone.id for clone in alike]
        session.execute(delete(CloneNic).where(CloneNic.clone_id.in_(ids)))
        give_cards(session, ids, nics)


def _have_wait(session: Session, row: Operation, node: Node, waiting: Sequence[Clone]) -> None:
    """Tell each of these its place in the line; those of earlier deaths are before them."""
    earlier = select(func.count()).select_from(Clone).join(Operation, Operation.id == Clone.operation_id)
    watched = (Operation.kind == row.kind, Operation.state == OperationState.WATCHED, Operation.id < row.id)
    before = session.scalar(earlier.where(*watched, Clone.state == CloneState.UNREACHABLE)) or 0
    count = before + len(waiting)
    for place, clone in enumerate(waiting, start=before + 1):
        reason = message("clones.waits_for_room", node=node.name, place=place, count=count)
        if (clone.state, clone.reason, clone.operation_id) == (CloneState.UNREACHABLE, reason, row.id):
            continue
        if clone.state != CloneState.UNREACHABLE:
            # What its operation was about is no more: it is this one's now, and knows whether it was in use.
            clone.state_before = CloneState.RUNNING if _in_use(clone) else ""
            clone.state, clone.start_after = CloneState.UNREACHABLE, False
        clone.reason, clone.operation_id = reason, row.id


def _settle(session: Session, row: Operation) -> None:
    """Write how far the operation is, and end it where nothing waits and nothing is being made."""
    waiting, placed = row.result["waiting"], row.result["placed"]
    of_ours = Clone.decision_id.in_(row.result["decisions"])
    coming = Clone.state.in_(MAKING) | ((Clone.state == CloneState.STOPPED) & Clone.start_after)
    making = session.scalar(select(func.count()).select_from(Clone).where(of_ours, coming)) or 0
    done, count = placed - making, placed + waiting
    row.message = message("clones.remade_so_far", done=done, count=count, waiting=waiting) if count else NOTHING
    if waiting or making:
        row.progress = 100 * done // count
        if waiting and row.watched_until and has_come(row.watched_until, WAITS) and not _any_lost(session, row):
            end(session, row, OperationState.FAILED, message("clones.no_room_for_long", count=waiting))
        return
    end(session, row, OperationState.DONE)
    if placed:
        events.record(session, None, "remake", row.node or row, message("clones.remade", count=placed))


def _any_lost(session: Session, row: Operation) -> bool:
    """Whether some wait whose disks are gone: no check would have them asked for anew."""
    lost = select(Clone.id).where(Clone.node_id == row.node_id, Clone.lost)
    return session.scalar(lost.limit(1)) is not None
