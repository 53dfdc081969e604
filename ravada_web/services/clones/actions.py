"""Actions on clones: start, shut down, restart, delete; of many, what can be done is done, and the rest named."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session, joinedload

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.messages.clones import state_message
from ravada_web.models import AT_REST, ROUND_NOW, Cause, Clone, CloneState, Node, User, now
from ravada_web.placement.starting import unserved
from ravada_web.placement.types import NodeState
from ravada_web.services.audit import events
from ravada_web.services.batches import batched, grouped
from ravada_web.services.clones import remains, second_look
from ravada_web.services.clones.listing import out_of_space
from ravada_web.services.clones.obstacles import (
    WAITING,
    Nodes,
    explain,
    nodes_of,
    obstacle_of,
    reason_against,
)
from ravada_web.services.clones.outcomes import Acted, Outcome, Skipped
from ravada_web.services.clones.start_room import StartRoom
from ravada_web.services.clones.waves import batch_size
from ravada_web.services.operations import outbox
from ravada_web.services.operations.requests import request
from ravada_web.services.people import quotas
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.transaction import hold_lock, hold_rows, transaction


@dataclass(frozen=True)
class Action:
    """One action: the `states` it is done from, those in which there is nothing to do, what it makes of a clone
    (`working`) and what of it in the end (`reached`, none where it is gone), the kind of its operation and its
    parameters."""

    name: str
    kind: str
    working: CloneState
    states: Collection[CloneState]
    idle: Collection[CloneState]
    reached: Collection[CloneState]
    params: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, actor: User, clone_ids: Collection[int]) -> Outcome:
        """Do it to those of these clones that it can be done to; the others are left, and named with their reasons.

        Starts are decided and written under the lock of placement: two at once never count the same room. Raises
        NotFound where the actor may control none of them, and for a foreign one among one's own; NotAllowed for who may
        delete none.
        """
        outbox.require_queue()
        outcome = self._do(actor, clone_ids)
        doubtful = {skip.id for skip in outcome.skipped if skip.obstacle in second_look.OBSTACLES}
        if doubtful and second_look.look(_nodes_of(doubtful)):
            later = self._do(actor, doubtful)
            kept = [skip for skip in outcome.skipped if skip.id not in doubtful]
            outcome = Outcome(self.name, [*outcome.done, *later.done], [*kept, *later.skipped])
        return outcome

    def _do(self, actor: User, clone_ids: Collection[int]) -> Outcome:
        with transaction() as session:
            hold_lock(session, "placement")
            # Checks and jobs write without that lock: nobody moves these between the judgement and the move.
            hold_rows(session, Clone, clone_ids)
            clones, outcome = _judged(session, actor, self, clone_ids)
            _move(session, actor, clones, self)
            return outcome

    def preview(self, actor: User, clone_ids: Collection[int]) -> tuple[Sequence[Clone], Outcome]:
        """The clones that it would be done to now, and what would come of it. Raises as doing it does."""
        return _judged(db.session(), actor, self, clone_ids)


_RUNNING, _STOPPED, _PAUSED = CloneState.RUNNING, CloneState.STOPPED, CloneState.PAUSED
_STARTING, _STOPPING = CloneState.STARTING, CloneState.STOPPING
# Paused ones resume.
start = Action("start", "clones_start", _STARTING, WAITING, (_RUNNING, _STARTING), (_RUNNING,))
shut_down = Action(
    "shut_down", "clones_stop", _STOPPING, (_RUNNING, _PAUSED), (_STOPPED,), (_STOPPED,), {"force": False}
)
# The way out of a guest that does not answer to its power button, or a start that hangs.
force_off = Action(
    "force_off",
    "clones_stop",
    _STOPPING,
    (_RUNNING, _PAUSED, _STOPPING, _STARTING),
    (_STOPPED,),
    (_STOPPED,),
    {"force": True},
)
# One operation, in which the memory stays reserved: a volatile clone is not deleted. What is off is left.
restart = Action("restart", "clones_restart", _STOPPING, (_RUNNING, _PAUSED), (_STOPPED,), (_RUNNING,))
delete = Action(
    "delete",
    "clones_delete",
    CloneState.DELETING,
    (_STOPPED, _RUNNING, _PAUSED, CloneState.FAILED, CloneState.UNREACHABLE),
    (CloneState.DELETING,),
    (),
)


def resume(actor: User, node: Node) -> Outcome:
    """Resume the clones that wait for space on a node. Raises Conflict while there is none."""
    waiting = [clone.id for clone in out_of_space(actor, node)]
    return start(actor, waiting).require_some() if waiting else Outcome(start.name, (), ())


def start_placed(session: Session, actor: User | None, clone_ids: Sequence[int], *, awaited: bool) -> list[int]:
    """Start clones of one node whose memory is reserved: new and restarting ones. Returns the operations' ids."""
    hold_rows(session, Clone, clone_ids)
    chosen = session.scalars(select(Clone).where(Clone.id.in_(clone_ids)).options(joinedload(Clone.node))).all()
    return _queue_batches(session, actor, chosen, "clones_start", CloneState.STARTING, awaited=awaited)


def may_delete(actor: User, clone: Clone) -> bool:
    """Whether the actor may delete the clone: by their role, or as its owner where its base lets its users."""
    return rights.can(actor, "clones.create") or (clone.owner_id == actor.id and clone.base.users_may_delete)


def delete_volatile(session: Session, node: Node, clone_ids: Sequence[int]) -> None:
    """Delete those of these volatile clones that are stopped and stay so, as the system."""
    hold_rows(session, Clone, clone_ids)
    chosen = session.scalars(select(Clone).where(Clone.id.in_(clone_ids), Clone.state == _STOPPED)).all()
    for batch in batched(chosen, batch_size("clones_delete", node)):
        _queue_work(session, None, node, batch, "clones_delete", CloneState.DELETING, {}, awaited=False)


def _nodes_of(clone_ids: Collection[int]) -> Collection[int]:
    return set(db.session.scalars(select(Clone.node_id).where(Clone.id.in_(clone_ids))))


def _judged(session: Session, actor: User, action: Action, clone_ids: Collection[int]) -> tuple[list[Clone], Outcome]:
    """Those that the action can be done to, by their list's order, and the outcome with the reasons of the others."""
    asked = set(clone_ids)
    query = select(Clone).where(Clone.id.in_(asked), scopes.clones(actor, "clones.control_all"))
    shown = (joinedload(Clone.node), joinedload(Clone.base))
    found = session.scalars(query.options(*shown).order_by(Clone.sort_name)).unique().all()
    # Who has only their own has no list to select from: another one among them is no slip.
    if not found or (len(found) < len(asked) and not rights.can(actor, "clones.control_all")):
        raise NotFound(message("clones.not_found"))
    if action == delete and not any(may_delete(actor, clone) for clone in found):
        rights.require(actor, "clones.create")
    nodes = nodes_of(session, found)
    skipped = {
        clone.id: skip for clone in found if (skip := _in_the_way(actor, action, clone, nodes.states[clone.node_id]))
    }
    if action == start:
        skipped |= _not_startable(session, actor, [clone for clone in found if clone.id not in skipped], nodes)
    clones = [clone for clone in found if clone.id not in skipped]
    # A foreign one is not there either.
    gone = [Skipped(id_, f"#{id_}", message("clones.why_gone")) for id_ in sorted(asked - {row.id for row in found})]
    left = [skipped[clone.id] for clone in found if clone.id in skipped]
    return clones, Outcome(action.name, [Acted(clone.id, clone.name) for clone in clones], [*left, *gone])


def _in_the_way(actor: User, action: Action, clone: Clone, node: NodeState) -> Skipped | None:
    """Why it cannot be done to the clone, whatever is done to others."""
    # One whose node is away is deleted there once that answers.
    if action != delete and (reason := unserved(node)):
        return Skipped(clone.id, clone.name, explain(clone.node, reason), obstacle_of(reason))
    state = state_message(clone.state)
    if clone.state in action.idle:
        return Skipped(clone.id, clone.name, message("clones.why_already", state=state), so_already=True)
    if clone.state not in action.states:
        return Skipped(clone.id, clone.name, message("clones.why_state", state=state))
    if action == delete and not may_delete(actor, clone):
        return Skipped(clone.id, clone.name, message("clones.why_not_deletable"))
    return None


def _not_startable(session: Session, actor: User, clones: Sequence[Clone], nodes: Nodes) -> dict[int, Skipped]:
    """Those of these clones that cannot start beside the ones before them, by their nodes or their owners' quotas."""
    quota, skipped = quotas.Starts(session, actor), {}
    room = StartRoom(session, clones)
    for clone in clones:
        if reason := reason_against(clone, nodes) or room.reason_against(clone):
            why = explain(clone.node, reason)
            skipped[clone.id] = Skipped(clone.id, clone.name, why, obstacle_of(reason))
        elif refusal := quota.refusal(clone):
            skipped[clone.id] = Skipped(clone.id, clone.name, refusal)
        else:
            nodes = nodes.with_started(clone)
            room.charge(clone)
            quota.charge(clone)
    return skipped


def _move(session: Session, actor: User, chosen: Sequence[Clone], action: Action) -> None:
    """Set the working state and queue the work: for one clone as what a person waits for, for more as bulk."""
    for clone in chosen:
        events.record(session, actor, action.kind.removeprefix("clones_"), clone)
    if action == delete and (away := [clone for clone in chosen if not clone.node.is_reachable]):
        remains.end(session, away, Cause.DELETED)
        chosen = [clone for clone in chosen if clone not in away]
    awaited = len(chosen) == 1
    _queue_batches(session, actor, chosen, action.kind, action.working, dict(action.params), awaited=awaited)


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
    bases = {clone.base_id for clone in batch}
    operation = request(
        session,
        kind,
        title,
        actor=actor,
        node=node,
        base_id=bases.pop() if len(bases) == 1 else None,
        params=params,
        awaited=awaited,
        items=len(batch),
    )
    values: dict[str, Any] = {"state": state, "reason": NOTHING, "operation_id": operation.id}
    values["changed_round"] = ROUND_NOW
    if state == CloneState.STARTING:
        values |= {"started_at": now(), "started_round": ROUND_NOW}
    # One that is forced off while it shuts down was the same before both.
    before = case((Clone.state.in_(AT_REST), Clone.state), (Clone.state == _STOPPING, Clone.state_before), else_="")
    values["state_before"] = before
    session.execute(update(Clone).where(Clone.id.in_([clone.id for clone in batch])).values(**values))
    return operation.id


def _title(kind: str, batch: Sequence[Clone], node: Node) -> Message:
    if len(batch) == 1:
        return message(f"clones.title_one_{kind.removeprefix('clones_')}", clone=batch[0].name, node=node.name)
    return message(f"clones.title_{kind.removeprefix('clones_')}", count=len(batch), node=node.name)
