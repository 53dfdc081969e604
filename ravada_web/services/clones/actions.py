"""Actions on clones: start, shut down, restart, delete."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from ravada_web.errors import Conflict, NotFound
from ravada_web.messages import NOTHING, Message, message
from ravada_web.messages.clones import state_message
from ravada_web.models import Clone, CloneState, Node, Trust, User, now
from ravada_web.services.audit import events
from ravada_web.services.batches import batched, grouped
from ravada_web.services.clones.errors import NodeRefuses
from ravada_web.services.clones.listing import out_of_space
from ravada_web.services.clones.obstacles import Circumstances, Obstacle, circumstances, obstacle_of, of_node
from ravada_web.services.clones.waves import batch_size
from ravada_web.services.operations import outbox
from ravada_web.services.operations.requests import request
from ravada_web.services.people import quotas
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.placements import loads as placements_loads
from ravada_web.services.storage import pools
from ravada_web.services.transaction import hold_lock, transaction


def start(actor: User, clone_ids: Sequence[int]) -> int:
    """Start stopped clones and resume paused ones; running ones are left. Returns how many start.

    Raises Conflict when a node cannot take the start: down, disabled, its disk full, or short of memory; or when it
    would exceed the owner's quota.
    """
    outbox.require_queue()
    with transaction() as session:
        hold_lock(session, "placement")
        chosen = _chosen(session, actor, clone_ids, (CloneState.STOPPED, CloneState.PAUSED, CloneState.RUNNING))
        to_start = [clone for clone in chosen if clone.state != CloneState.RUNNING]
        quotas.require_for(session, actor, to_start)
        _require_startable(session, to_start)
        _move(session, actor, to_start, "clones_start", CloneState.STARTING)
        return len(to_start)


def resume(actor: User, node: Node) -> int:
    """Resume all clones that wait for space on a node. Returns how many. Raises Conflict while there is none."""
    waiting = [clone.id for clone in out_of_space(actor, node)]
    return start(actor, waiting) if waiting else 0


def start_placed(session: Session, actor: User | None, clone_ids: Sequence[int], *, awaited: bool) -> list[int]:
    """Start clones of one node whose memory is reserved: new and restarting ones. Returns the operations' ids."""
    chosen = session.scalars(select(Clone).where(Clone.id.in_(clone_ids)).options(joinedload(Clone.node))).all()
    return _queue_batches(session, actor, chosen, "clones_start", CloneState.STARTING, awaited=awaited)


def shut_down(actor: User, clone_ids: Sequence[int]) -> int:
    """Ask the guests of running clones to shut down; those that are stopped are left. Returns how many."""
    return _stop(actor, clone_ids, force=False)


def force_off(actor: User, clone_ids: Sequence[int]) -> int:
    """Cut the power of clones: what their guests have not written is lost. Returns how many."""
    return _stop(actor, clone_ids, force=True)


def restart(actor: User, clone_ids: Sequence[int]) -> int:
    """Shut running clones down and start them again; those that are stopped are left. Returns how many.

    It is one operation, and the memory stays reserved: a clone that is restarted keeps its memory, and a volatile one
    is not deleted.
    """
    outbox.require_queue()
    with transaction() as session:
        chosen = _chosen(session, actor, clone_ids, (CloneState.RUNNING, CloneState.STOPPED))
        running = [clone for clone in chosen if clone.state == CloneState.RUNNING]
        _move(session, actor, running, "clones_restart", CloneState.STOPPING)
        return len(running)


def _stop(actor: User, clone_ids: Sequence[int], *, force: bool) -> int:
    outbox.require_queue()
    with transaction() as session:
        states = [CloneState.RUNNING, CloneState.PAUSED, CloneState.STOPPED]
        if force:
            # The way out of a guest that does not answer to its power button, or a start that hangs.
            states += [CloneState.STOPPING, CloneState.STARTING]
        chosen = _chosen(session, actor, clone_ids, states)
        running = [clone for clone in chosen if clone.state != CloneState.STOPPED]
        _move(session, actor, running, "clones_stop", CloneState.STOPPING, params={"force": force})
        return len(running)


def delete(actor: User, clone_ids: Sequence[int]) -> int:
    """Delete clones with all that is on their disks. Returns how many. Raises Conflict for one in work.

    Raises NotAllowed for one's own where the base does not let its users.
    """
    outbox.require_queue()
    states = (CloneState.STOPPED, CloneState.RUNNING, CloneState.PAUSED, CloneState.FAILED)
    with transaction() as session:
        chosen = _chosen(session, actor, clone_ids, states)
        if not all(may_delete(actor, clone) for clone in chosen):
            rights.require(actor, "clones.create")
        _move(session, actor, chosen, "clones_delete", CloneState.DELETING)
        return len(chosen)


def may_delete(actor: User, clone: Clone) -> bool:
    """Whether the actor may delete the clone: by their role, or as its owner where its base lets its users."""
    return rights.can(actor, "clones.create") or (clone.owner_id == actor.id and clone.base.users_may_delete)


def delete_volatile(session: Session, node: Node, clone_ids: Sequence[int]) -> None:
    """Delete volatile clones that have stopped, as the system."""
    chosen = session.scalars(select(Clone).where(Clone.id.in_(clone_ids))).all()
    for batch in batched(chosen, batch_size("clones_delete", node)):
        _queue_work(session, None, node, batch, "clones_delete", CloneState.DELETING, {}, awaited=False)


def _chosen(session: Session, actor: User, clone_ids: Sequence[int], states: Sequence[CloneState]) -> list[Clone]:
    """The clones to act on. Raises NotFound where the actor may not control one, Conflict where its state forbids."""
    query = select(Clone).where(Clone.id.in_(clone_ids), scopes.clones(actor, "clones.control_all"))
    chosen = list(session.scalars(query.options(joinedload(Clone.node)).order_by(Clone.id)))
    if not chosen or len(chosen) != len(set(clone_ids)):
        raise NotFound(message("clones.not_found"))
    for clone in chosen:
        if why := of_node(clone.node.observed, clone.node.trust):
            raise NodeRefuses(_absence(clone.name, clone.node), why)
        if clone.state not in states:
            raise Conflict(message("clones.not_while", clone=clone.name, state=state_message(clone.state)))
    return chosen


def _absence(clone: str, node: Node) -> Message:
    if node.trust != Trust.PINNED:
        return message("clones.node_quarantined", clone=clone, node=node.name)
    return message("clones.node_away", clone=clone, node=node.name, why=node.reason)


def _require_startable(session: Session, to_start: Sequence[Clone]) -> None:
    """Refuse starts that their nodes do not take now, or not all of them."""
    startable = placements_loads.startable(session, {clone.node for clone in to_start})
    earlier = dict.fromkeys(startable, 0)
    for clone in to_start:
        state = circumstances(clone, startable[clone.node_id], earlier[clone.node_id])
        if obstacle := obstacle_of(state):
            raise NodeRefuses(_refusal(clone, obstacle, state), obstacle)
        if clone.state == CloneState.STOPPED:
            earlier[clone.node_id] = state.needs_mib


def _refusal(clone: Clone, obstacle: Obstacle, state: Circumstances) -> Message:
    """Why a start is refused, for administrators."""
    node = clone.node
    match obstacle:
        case Obstacle.CLOSED:
            return message("clones.node_disabled", clone=clone.name, node=node.name)
        case Obstacle.NO_SPACE:
            return message("clones.no_space", clone=clone.name, why=pools.no_room(node))
        case Obstacle.NO_MEMORY:
            return message(
                "clones.no_memory",
                node=node.name,
                need_mib=state.needs_mib,
                free_mib=state.startable_mib,
                reserve_mib=node.memory_reserve_mib,
            )
        case Obstacle.AWAY | Obstacle.QUARANTINED:
            return _absence(clone.name, node)


def _move(
    session: Session,
    actor: User,
    chosen: Sequence[Clone],
    kind: str,
    state: CloneState,
    params: dict[str, Any] | None = None,
) -> None:
    """Set the working state and queue the work: for one clone as what a person waits for, for more as bulk."""
    for clone in chosen:
        events.record(session, actor, kind.removeprefix("clones_"), clone)
    _queue_batches(session, actor, chosen, kind, state, params, awaited=len(chosen) == 1)


def _queue_batches(
    session: Session,
    actor: User | None,
    chosen: Sequence[Clone],
    kind: str,
    state: CloneState,
    params: dict[str, Any] | None = None,
    *,
    awaited: bool = False,
) -> list[int]:
    """One operation for each node and as many of its clones as one takes; returns their ids."""
    return [
        _queue_work(session, actor, node, batch, kind, state, params or {}, awaited=awaited)
        for node, alike in grouped(chosen, lambda clone: clone.node).items()
        for batch in batched(alike, batch_size(kind, node))
    ]


def _queue_work(
    session: Session,
    actor: User | None,
    node: Node,
    batch: Sequence[Clone],
    kind: str,
    state: CloneState,
    params: dict[str, Any],
    *,
    awaited: bool,
) -> int:
    title = _title(kind, batch, node)
    operation = request(session, kind, title, actor=actor, node=node, params=params, awaited=awaited, items=len(batch))
    values: dict[str, Any] = {"state": state, "reason": NOTHING, "operation_id": operation.id, "changed_at": now()}
    if state == CloneState.STARTING:
        values["started_at"] = now()
    session.execute(update(Clone).where(Clone.id.in_([clone.id for clone in batch])).values(**values))
    return operation.id


def _title(kind: str, batch: Sequence[Clone], node: Node) -> Message:
    if len(batch) == 1:
        return message(f"clones.title_one_{kind.removeprefix('clones_')}", clone=batch[0].name, node=node.name)
    return message(f"clones.title_{kind.removeprefix('clones_')}", count=len(batch), node=node.name)
