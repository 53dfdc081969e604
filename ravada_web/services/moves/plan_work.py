"""Doing plans of moves: the ticker's look, which follows what is under way, decides anew what is left, and asks for as
much more as may go on at once.

Each look is one transaction on rows alone: whoever dies in it has done nothing, and the next one goes on. What it asks
for are operations of the kinds that people ask for, with their own ways through a worker's or a node's death.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ravada_web.clock import is_recent
from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import Message, as_message, message
from ravada_web.models import (
    AT_WORK,
    OVER,
    UNSETTLED,
    Clone,
    CloneState,
    MovePlan,
    MoveState,
    MoveWay,
    Node,
    Operation,
    PlanKind,
    PlannedMove,
    PlanState,
    Replica,
    ServiceState,
    User,
    now,
)
from ravada_web.placement.draining import Choices, Outcome
from ravada_web.services.audit import events
from ravada_web.services.bases import replicas
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import remains
from ravada_web.services.clones.actions import Action
from ravada_web.services.moves import plan_following, plan_guests, plans, requests
from ravada_web.services.moves.plan_following import MOVING
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import hold_lock, hold_rows, transaction

# A plan in which nothing more can be done ends after so long: a node may answer again, or take some, until then.
GRACE = timedelta(seconds=30)
FULL = timedelta(seconds=5)
# Looks in a row that go wrong end a plan.
FAILURES = 10
# Of what is left, how many are named.
NAMED = 12


def due() -> list[Sequence[int]]:
    """The ids of the plans that are at work, for one job; nothing where there is none."""
    ids = db.session.scalars(select(MovePlan.id).where(MovePlan.state.in_(AT_WORK)).order_by(MovePlan.id)).all()
    return [ids] if ids else []


def go_on(plan_ids: Sequence[int]) -> None:
    """Look at each of these plans; what goes wrong with one is that one's own."""
    for plan_id in plan_ids:
        with guarded(partial(_failed, plan_id), plan=plan_id):
            look(plan_id)


def look_after(operation_id: int) -> None:
    """Look at the plan that an operation was part of, so that the next move need not wait for the ticker, which looks
    again whatever goes wrong here."""
    waits = (PlannedMove.operation_id == operation_id, PlannedMove.state == MoveState.UNDER_WAY)
    for plan_id in db.session.scalars(select(PlannedMove.plan_id).where(*waits)).all():
        with guarded(_left, plan=plan_id):
            look(plan_id)


def _left(_why: Message) -> None:
    """The ticker looks again, and says why."""


def look(plan_id: int) -> None:
    """Do what can be done of a plan now."""
    with transaction() as session:
        hold_lock(session, "placement")
        plan = plans.held(session, plan_id)
        if plan.state not in AT_WORK or _is_full(session, plan):
            return
        actor = session.get(User, plan.user_id) if plan.user_id else None
        if actor is None or not rights.can(actor, "nodes.change"):
            _end(session, plan, PlanState.STOPPED, message("plans.nobody"))
            return
        _Look(session, plan, actor).go_on()
        plan.failures = 0


def _is_full(session: Session, plan: MovePlan) -> bool:
    """Whether as much as may go on at once has just been asked for: then all is looked at again only when some of it
    has ended, or after a while."""
    if plan.state != PlanState.OPEN or not is_recent(plan.changed_at, FULL):
        return False
    going = (PlannedMove.plan_id == plan.id, PlannedMove.state == MoveState.UNDER_WAY, PlannedMove.way.in_(MOVING))
    query = select(func.count()).select_from(PlannedMove).join(PlannedMove.operation)
    return (session.scalar(query.where(*going, Operation.state.not_in(OVER))) or 0) >= _at_once(plan)


def _at_once(plan: MovePlan) -> int:
    return max(1, int(plan.choices.get("at_once", 1)))


def _failed(plan_id: int, why: Message) -> None:
    """Write what went wrong; it is looked at again, unless that goes on for long."""
    with transaction() as session:
        plan = plans.held(session, plan_id)
        if plan.state in AT_WORK:
            plan.failures, plan.note = plan.failures + 1, why
            if plan.failures >= FAILURES:
                _end(session, plan, PlanState.STOPPED, why)


@dataclass
class _Look:
    """One look at one plan."""

    session: Session
    plan: MovePlan
    actor: User
    sources: frozenset[int] = frozenset()
    # How many moves are under way from and to each node, for all plans, and in all for this one.
    busy: Counter[int] = field(default_factory=Counter)
    moving: int = 0

    def go_on(self) -> None:
        """Follow what is under way, and go on from there."""
        self._find_sources()
        moves = plan_following.unsettled(self.session, self.plan)
        before = {move.id: (move.state, move.way) for move in moves}
        plan_following.follow(self.session, self.plan, moves)
        if self.plan.state == PlanState.CANCELLING:
            if not any(move.state == MoveState.UNDER_WAY for move in moves):
                self._cancelled()
            return
        if self.plan.kind == PlanKind.DRAIN:
            self._leave_out(moves)
            moves = [*moves, *self._newcomers()]
        waiting = [move for move in moves if move.state == MoveState.WAITING and move.clone is not None]
        self._decide(waiting)
        self.session.flush()
        if any(before.get(move.id) != (move.state, move.way) for move in moves):
            self.plan.changed_at = now()
        self._end_where_over(moves)

    def _find_sources(self) -> None:
        """The nodes that are still being drained: somebody may have enabled one, or given it up, meanwhile."""
        ids = [about.node_id for about in self.plan.nodes]
        draining = select(Node.id).where(Node.id.in_(ids), Node.service_state == ServiceState.DRAINING)
        self.sources = frozenset(self.session.scalars(draining))

    def _leave_out(self, moves: Sequence[PlannedMove]) -> None:
        """End what is about a node that is not drained any more."""
        names = self._names()
        for move in moves:
            if move.state == MoveState.WAITING and move.from_id not in self.sources:
                why = message("plans.node_changed", node=names.get(move.from_id or 0, ""))
                plan_following.end(move, MoveState.CANCELLED, why)

    def _newcomers(self) -> Sequence[PlannedMove]:
        """What has come to the nodes since the plan was made: it was on its way, or was made before."""
        known = select(PlannedMove.clone_id).where(
            PlannedMove.plan_id == self.plan.id,
            PlannedMove.state.in_((MoveState.WAITING, MoveState.UNDER_WAY, MoveState.STAYS)),
            PlannedMove.clone_id.is_not(None),
        )
        here = (Clone.node_id.in_(self.sources), Clone.id.not_in(known), Clone.state != CloneState.DELETING)
        query = select(Clone).where(*here).options(*plan_guests.shown()).order_by(Clone.id)
        rows = [plans.planned(self.plan, plans.NewMove(clone)) for clone in self.session.scalars(query).unique()]
        self.session.add_all(rows)
        self.session.flush()
        return rows

    def _choices(self) -> Choices:
        chosen = self.plan.choices
        return Choices(
            leaving=self.sources,
            live=bool(chosen.get("live")),
            late=self.plan.deadline is None or self.plan.deadline <= now(),
            shuts_down=bool(chosen.get("shuts_down")),
            throws_away=self.plan.kind == PlanKind.DRAIN and bool(chosen.get("throws_away", True)),
            brings=bool(chosen.get("brings")),
        )

    def _decide(self, waiting: Sequence[PlannedMove]) -> None:
        """Decide on all that wait, and begin what may begin now."""
        if not waiting:
            return
        hold_rows(self.session, Clone, [move.clone_id for move in waiting if move.clone_id])
        choices = self._choices()
        leavers = plan_guests.leavers_of(waiting, fixed=self.plan.kind != PlanKind.DRAIN)
        outcomes = plan_guests.decide_all(self.session, leavers, choices).outcomes
        names = self._names()
        for move, outcome in zip(waiting, outcomes, strict=True):
            self._write(move, outcome, names)
        self._count_busy()
        pairs = list(zip(waiting, outcomes, strict=True))
        off = [move for move, outcome in pairs if outcome.way == MoveWay.SHUT_DOWN and choices.late]
        forced = [move for move in off if move.ignored and self.plan.choices.get("forces_off")]
        self._act(clone_actions.force_off, forced)
        self._act(clone_actions.shut_down, [move for move in off if move not in forced])
        self._act(clone_actions.delete, [move for move in waiting if move.way == MoveWay.THROW_AWAY])
        self._bring([move for move in waiting if move.brings])
        # Those whose users wait for them come first.
        for move in sorted(waiting, key=lambda one: (not one.starts, one.id)):
            if move.way in MOVING and move.state == MoveState.WAITING:
                self._move(move)

    def _write(self, move: PlannedMove, outcome: Outcome, names: Mapping[int, str]) -> None:
        move.way, move.brings = MoveWay(outcome.way), outcome.brings
        if self.plan.kind == PlanKind.DRAIN or outcome.to is not None:
            move.to_id = outcome.to
        if move.clone is not None:
            why = plan_guests.reason_of(outcome, move.clone, names)
            # Why it failed before says more than that nobody else takes it.
            move.reason = why if why or not move.tries else move.reason

    def _names(self) -> Mapping[int, str]:
        return dict(self.session.execute(select(Node.id, Node.name)).all())

    def _count_busy(self) -> None:
        under_way = (PlannedMove.state == MoveState.UNDER_WAY, PlannedMove.way.in_(MOVING))
        query = select(PlannedMove.plan_id, PlannedMove.from_id, PlannedMove.to_id, func.count())
        query = query.join(PlannedMove.plan).where(*under_way, MovePlan.state.in_(AT_WORK))
        grouped = query.group_by(PlannedMove.plan_id, PlannedMove.from_id, PlannedMove.to_id)
        for plan_id, from_id, to_id, count in self.session.execute(grouped):
            for node_id in (from_id, to_id):
                self.busy[node_id or 0] += count
            self.moving += count if plan_id == self.plan.id else 0

    def _move(self, move: PlannedMove) -> None:
        """Ask for its move, if that is not one too many for the plan or for either node."""
        most = _at_once(self.plan)
        if move.clone_id is None or move.to_id is None or move.from_id is None or self.moving >= most:
            return
        if max(self.busy[move.from_id], self.busy[move.to_id]) >= most:
            return
        try:
            live = move.way == MoveWay.LIVE
            operation = requests.move_within(self.session, self.actor, move.clone_id, move.to_id, live=live)
        except InvalidInput as refusal:
            move.reason, move.way = as_message(next(iter(refusal.fields.values()))), MoveWay.STAYS
            if live:
                move.tries += 1  # it may still go there while it is off
            else:
                move.refused = [*move.refused, move.to_id]
            return
        move.state, move.operation_id = MoveState.UNDER_WAY, operation.id
        self.busy[move.from_id] += 1
        self.busy[move.to_id] += 1
        self.moving += 1

    def _act(self, action: Action, moves: Sequence[PlannedMove]) -> None:
        """Do this to the clones; those that it cannot be done to now say why."""
        by_id = {move.clone_id: move for move in moves if move.clone_id is not None}
        if not by_id:
            return
        outcome = action(self.actor, list(by_id))
        for skipped in outcome.skipped:
            by_id[skipped.id].reason = skipped.why
        for done in outcome.done:
            move = by_id[done.id]
            self.session.refresh(move.clone)
            move.state = MoveState.UNDER_WAY
            move.starts = action is not clone_actions.delete and move.clone is not None and not move.clone.volatile
            move.operation_id = move.clone.operation_id if move.clone is not None else None

    def _bring(self, moves: Sequence[PlannedMove]) -> None:
        """Have the copies of bases made that these wait for."""
        for version, node_id in {(move.clone.version, move.to_id) for move in moves if move.clone and move.to_id}:
            held = (Replica.version_id == version.id, Replica.node_id == node_id)
            if self.session.scalar(select(Replica.id).where(*held)) is None:
                self.session.add(Replica(version_id=version.id, node_id=node_id, directory=""))
            replicas.settle(self.session, self.actor, base_id=version.base_id, node_id=node_id)

    def _end_where_over(self, moves: Sequence[PlannedMove]) -> None:
        """End the plan where nothing is under way, and nothing more can be."""
        open_now = [move for move in moves if move.state in (MoveState.WAITING, MoveState.UNDER_WAY)]
        if any(move.state == MoveState.UNDER_WAY or move.way != MoveWay.STAYS for move in open_now):
            return
        if self.plan.kind == PlanKind.DRAIN and not self.sources:
            _end(self.session, self.plan, PlanState.CANCELLED, self.plan.note)
            return
        stays = select(PlannedMove.clone_name).where(
            PlannedMove.plan_id == self.plan.id, PlannedMove.state.in_((MoveState.WAITING, MoveState.STAYS))
        )
        names = self.session.scalars(stays.order_by(PlannedMove.id)).all()
        if not names and not remains.arriving_on(self.sources):
            done = select(func.count()).where(PlannedMove.plan_id == self.plan.id, PlannedMove.state == MoveState.DONE)
            count = self.session.scalar(done) or 0
            _end(self.session, self.plan, PlanState.DONE, message("plans.done", count=count))
        elif names and not (is_recent(self.plan.changed_at, GRACE) and any(_may_pass(move) for move in open_now)):
            for move in open_now:
                plan_following.end(move, MoveState.STAYS, move.reason)
            more = [message("clones.more", count=len(names) - NAMED)] if len(names) > NAMED else []
            left = message("plans.stopped", count=len(names), names=[*names[:NAMED], *more])
            _end(self.session, self.plan, PlanState.STOPPED, left)

    def _cancelled(self) -> None:
        """All that was under way has ended."""
        _end(self.session, self.plan, PlanState.CANCELLED, self.plan.note)
        if self.plan.returns:
            bring_back(self.session, self.actor, [self.plan], self.plan.choices, self.plan.deadline)


def _may_pass(move: PlannedMove) -> bool:
    """Whether what keeps it there may be over soon: not where it stays because it runs, as was chosen."""
    return move.reason.kind != "plans.drain_runs"


def bring_back(
    session: Session,
    actor: User,
    drains: Sequence[MovePlan],
    choices: Mapping[str, object],
    deadline: datetime | None,
    node_id: int | None = None,
) -> MovePlan | None:
    """Have go home, to all nodes or to this one, by a plan of its own, what these drains have moved away and is still
    where they brought it; None where there is nothing."""
    moved = [PlannedMove.plan_id.in_([drain.id for drain in drains]), PlannedMove.state == MoveState.DONE]
    moved += [PlannedMove.from_id == node_id] if node_id is not None else []
    query = select(PlannedMove, Clone).join(PlannedMove.clone).where(*moved, Clone.node_id == PlannedMove.to_id)
    rows = session.execute(query.options(*plan_guests.shown()).order_by(PlannedMove.id.desc())).unique().all()
    homes = {clone.id: plans.NewMove(clone, move.from_id) for move, clone in reversed(rows) if move.from_id}
    if not homes:
        return None
    nodes = session.scalars(select(Node).where(Node.id.in_({home.to_id for home in homes.values()}))).all()
    kept = {**choices, "shuts_down": False}
    return plans.begin(
        session, PlanKind.BRING_BACK, actor, list(homes.values()), nodes=nodes, choices=kept, deadline=deadline
    )


def _end(session: Session, plan: MovePlan, state: PlanState, note: Message) -> None:
    """Write how a plan has ended. Nodes that are empty are in maintenance from now on; from those that are not, and are
    out of service, people decide."""
    plan.state, plan.note, plan.ended_at = state, note, now()
    left = update(PlannedMove).where(PlannedMove.plan_id == plan.id, PlannedMove.state.in_(UNSETTLED))
    session.execute(left.values(state=MoveState.STAYS, reason=note, ended_at=now()))
    if plan.kind != PlanKind.DRAIN:
        return
    for about in plan.nodes:
        node = session.get(Node, about.node_id, with_for_update=True, populate_existing=True)
        if node is None or node.service_state != ServiceState.DRAINING:
            continue
        if state == PlanState.DONE:
            node.service_state, node.maintenance_since = ServiceState.MAINTENANCE, now()
            if hours := plan.choices.get("hours"):  # of maintenance, however long the drain took
                node.maintenance_until = now() + timedelta(hours=hours)
        else:
            plans.leave_drain(node, about, plans.state_unless_empty(plan, about))
        events.record(session, plan.user, "drained" if state == PlanState.DONE else "drain_stopped", node, note)
