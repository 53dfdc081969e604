"""Plans of moves: begun, cancelled, and looked up. What they do is `plan_work`'s."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from ravada_web.errors import Conflict, NotFound
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import (
    AT_WORK,
    OVER,
    UNSETTLED,
    Clone,
    CloneState,
    MovePlan,
    MovePlanNode,
    MoveState,
    MoveWay,
    Node,
    Operation,
    PlanKind,
    PlannedMove,
    PlanState,
    ServiceState,
    User,
    now,
)
from ravada_web.services.audit import events
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.paging import Page, paginate
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import hold_lock, transaction

# Among a plan's choices: the schedule has its node rest, and no person.
RESTS = "rests"


@dataclass(frozen=True)
class NewMove:
    """A clone that a plan is to move: where to, where that is decided already, and what is won by it."""

    clone: Clone
    to_id: int | None = None
    gain: float = 0.0
    reason: Message = NOTHING


def begin(
    session: Session,
    kind: PlanKind,
    actor: User,
    moves: Sequence[NewMove],
    *,
    nodes: Collection[Node] = (),
    choices: Mapping[str, Any],
    deadline: datetime | None = None,
    why: str = "",
    proposed: bool = False,
    **more: Any,
) -> MovePlan:
    """Write a plan, in the present transaction, which the ticker does from then on; only `proposed`, it waits for its
    state to be set. `choices` has `live`, `shuts_down` (at the deadline), `forces_off` (what ignores that), `at_once`
    and `brings`; `more` are further columns."""
    moment = now()
    plan = MovePlan(
        kind=kind,
        state=PlanState.PROPOSED if proposed else PlanState.OPEN,
        user_id=actor.id,
        user_name=actor.name,
        choices=dict(choices),
        deadline=deadline,
        why=why,
        created_at=moment,
        changed_at=moment,
        begun_at=None if proposed else moment,
        nodes=[MovePlanNode(node_id=node.id, before=node.service_state) for node in nodes],
        **more,
    )
    session.add(plan)
    session.flush()
    session.add_all(planned(plan, move) for move in moves)
    session.flush()
    return plan


def planned(plan: MovePlan, move: NewMove) -> PlannedMove:
    """The row of a clone that a plan is to move; what becomes of it is decided by the next look."""
    return PlannedMove(
        plan_id=plan.id,
        clone_id=move.clone.id,
        clone_name=move.clone.name,
        from_id=move.clone.node_id,
        to_id=move.to_id,
        way=MoveWay.WAIT,
        reason=move.reason or message("plans.not_looked_at"),
        gain=move.gain,
    )


def held(session: Session, plan_id: int) -> MovePlan:
    """The plan's row as it stands now, locked. Raises NotFound."""
    query = select(MovePlan).where(MovePlan.id == plan_id).with_for_update()
    plan = session.scalar(query.execution_options(populate_existing=True))
    if plan is None:
        raise NotFound(message("plans.no_such"))
    return plan


def get(viewer: User, plan_id: int) -> MovePlan:
    """A plan. Raises NotFound and NotAllowed."""
    rights.require(viewer, "nodes.change")
    plan = db.session.get(MovePlan, plan_id)
    if plan is None:
        raise NotFound(message("plans.no_such"))
    return plan


def open_on(session: Session, node_ids: Collection[int], kind: PlanKind = PlanKind.DRAIN) -> Sequence[MovePlan]:
    """The plans of this kind that are at work on any of these nodes."""
    about = select(MovePlanNode.plan_id).where(MovePlanNode.node_id.in_(node_ids))
    query = select(MovePlan).where(MovePlan.id.in_(about), MovePlan.kind == kind, MovePlan.state.in_(AT_WORK))
    return session.scalars(query.order_by(MovePlan.id)).all()


def last_on(node: Node, kind: PlanKind = PlanKind.DRAIN) -> MovePlan | None:
    """The newest plan of this kind about the node."""
    about = select(MovePlanNode.plan_id).where(MovePlanNode.node_id == node.id)
    query = select(MovePlan).where(MovePlan.id.in_(about), MovePlan.kind == kind)
    return db.session.scalar(query.order_by(MovePlan.id.desc()).limit(1))


def page_of(plan: MovePlan, state: str = "", number: int = 1) -> Page[PlannedMove]:
    """One page of what is to become of its clones, or became, in the order of their names; `state` picks those that are
    so far."""
    query = select(PlannedMove).outerjoin(PlannedMove.clone).where(PlannedMove.plan_id == plan.id)
    if state:
        query = query.where(PlannedMove.state == state)
    shown = (joinedload(PlannedMove.origin), joinedload(PlannedMove.target), joinedload(PlannedMove.operation))
    query = query.options(contains_eager(PlannedMove.clone), *shown)
    return paginate(query.order_by(func.coalesce(Clone.sort_name, PlannedMove.clone_name), PlannedMove.id), number)


@dataclass(frozen=True)
class Progress:
    """How far a plan is: how many of its clones are in each state, how many are dealt with, of how many, how many have
    moved, and about how long the others take."""

    states: Mapping[str, int]
    done: int
    count: int
    moved: int
    left: timedelta | None

    @property
    def percent(self) -> int:
        """The share that is dealt with."""
        return 100 * self.done // self.count if self.count else 100

    @property
    def message(self) -> Message:
        """The same in words."""
        so_far = message("plans.progress", done=self.done, count=self.count)
        if self.left is None:
            return so_far
        return sentences(so_far, message("plans.time_left", left_seconds=self.left.total_seconds()))


def progress(plan: MovePlan) -> Progress:
    """How far it is: what is left takes as long as what was done, and users their time."""
    query = select(PlannedMove.state, PlannedMove.way, func.count()).where(PlannedMove.plan_id == plan.id)
    counts = db.session.execute(query.group_by(PlannedMove.state, PlannedMove.way)).all()
    states: Counter[str] = Counter()
    for state, _way, number in counts:
        states[state] += number
    count = states.total()
    left = sum(states[state] for state in UNSETTLED)
    settled = count - left
    done = settled - states[MoveState.STAYS] - states[MoveState.CANCELLED]
    moved = sum(
        number for state, way, number in counts if state == MoveState.DONE and way in (MoveWay.COLD, MoveWay.LIVE)
    )
    if plan.ended_at or plan.begun_at is None or not left or not settled:
        return Progress(states, done, count, moved, None)
    span = (now() - plan.begun_at) * left / settled
    users = any(state in UNSETTLED and way in (MoveWay.WAIT, MoveWay.SHUT_DOWN) for state, way, _number in counts)
    if users and plan.deadline and plan.deadline > now():
        span = max(span, plan.deadline - now())
    return Progress(states, done, count, moved, span)


def cancel(actor: User, plan_id: int, *, returns: bool = False) -> MovePlan:
    """Do nothing more of a plan: what is under way is cancelled where it still can be; nodes that were being drained
    are again what they were. What has moved stays where it is, or `returns` by a plan of its own.

    Raises NotFound, NotAllowed, and Conflict for one that is over.
    """
    rights.require(actor, "nodes.change")
    with transaction() as session:
        hold_lock(session, "placement")
        plan = held(session, plan_id)
        if plan.state != PlanState.OPEN:
            raise Conflict(message("plans.over_already"))
        plan.state, plan.returns, plan.changed_at = PlanState.CANCELLING, returns, now()
        plan.note = message("plans.cancelled_by", name=actor.name)
        restore(session, actor, plan)
        settle(session, plan, message("plans.was_cancelled"))
        _cancel_operations(session, actor, plan)
        return plan


def restore(session: Session, actor: User | None, plan: MovePlan) -> None:
    """Have the nodes that a plan drains be what they were before."""
    for about in plan.nodes if plan.kind == PlanKind.DRAIN else ():
        node = session.get(Node, about.node_id, with_for_update=True, populate_existing=True)
        if node is not None and node.service_state == ServiceState.DRAINING:
            leave_drain(node, about, ServiceState(about.before))
            events.record(session, actor, "end_drain", node, plan.note)
    session.flush()


def state_unless_empty(plan: MovePlan, about: MovePlanNode) -> ServiceState:
    """What a node is once its drain has stopped with something left: out of service, unless it was to rest."""
    return ServiceState(about.before) if plan.choices.get(RESTS) else ServiceState.DISABLED


def leave_drain(node: Node, about: MovePlanNode, state: ServiceState) -> None:
    """Have a node that is not empty be in this state from now on; one that was in maintenance before still is."""
    was_there = about.before == ServiceState.MAINTENANCE
    node.service_state = ServiceState.MAINTENANCE if was_there else state
    if not was_there:
        node.end_maintenance()


def settle(session: Session, plan: MovePlan, why: Message) -> None:
    """End what has not begun; what was shut down for its move is started again where it is."""
    waiting = (PlannedMove.plan_id == plan.id, PlannedMove.state == MoveState.WAITING)
    rows = session.scalars(select(PlannedMove).where(*waiting).options(joinedload(PlannedMove.clone))).all()
    for move in rows:
        move.state, move.reason, move.ended_at = MoveState.CANCELLED, why, now()
    start_again(session, plan, [move for move in rows if move.starts])


def start_again(session: Session, plan: MovePlan, moves: Sequence[PlannedMove]) -> None:
    """Start the clones that ran before they were shut down for this plan, where they are now; why not is written."""
    off = [move for move in moves if move.clone is not None and move.clone.state == CloneState.STOPPED]
    actor = session.get(User, plan.user_id) if plan.user_id else None
    if not off or actor is None:
        return
    outcome = clone_actions.start(actor, [move.clone_id for move in off if move.clone_id])
    whys = {skipped.id: skipped.why for skipped in outcome.refused}
    for move in off:
        if why := whys.get(move.clone_id or 0):
            move.reason = message("plans.not_started", why=why)


def _cancel_operations(session: Session, actor: User, plan: MovePlan) -> None:
    """Those under way, but for deletions: who was thrown away does not come back."""
    under_way = select(PlannedMove.operation_id).where(
        PlannedMove.plan_id == plan.id, PlannedMove.state.in_(UNSETTLED), PlannedMove.way != MoveWay.THROW_AWAY
    )
    open_now = select(Operation.id).where(Operation.id.in_(under_way), Operation.state.not_in(OVER))
    if ids := session.scalars(open_now.order_by(Operation.id)).all():
        operation_requests.cancel(actor, ids)
