"""Having nodes rest: once a minute the schedule is asked, and what it has begun goes on every few seconds.

A node that is to rest is emptied by a plan of moves, its host is shut down, and woken when it is needed. All of that is
in rows, done in the name of who switched it on: whoever dies in it has done nothing, and the next look goes on. Where a
person has decided otherwise meanwhile, the schedule lets go of the node.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.clock import is_recent
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import (
    Cluster,
    MovePlan,
    Node,
    Operation,
    OperationState,
    PlanKind,
    PlanState,
    RestStep,
    ServiceState,
    User,
    now,
)
from ravada_web.services.audit import events
from ravada_web.services.lifecycle import draining, host_power, rest_vetoes, resting, service_state, waking
from ravada_web.services.lifecycle.held import held
from ravada_web.services.lifecycle.host_power import RESTS
from ravada_web.services.lifecycle.resting import Survey
from ravada_web.services.moves import plans, rebalancing_rules
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import hold_lock, transaction

LOOK_SECONDS, STEP_SECONDS = 60.0, 5.0
# So many looks in a row must find that some node may rest; one a minute.
QUIET_LOOKS = 10
# So many nodes are asked what speaks against it, in one look.
MOST_VETOES = 10
# A request that was refused is news for so long.
LACK = timedelta(minutes=10)
ASLEEP = (RestStep.RESTING, RestStep.EMPTYING)
# Among the choices of a plan that empties a node: the schedule itself has ended it.
_STAYS = "stays"


def due() -> list[Sequence[int]]:
    """One job, without arguments, where nodes rest by the schedule."""
    return [()] if reserve.policy().rest_user_id is not None else []


def look() -> None:
    """Ask the schedule: wake what is needed, or put a node to rest where it has been quiet for long enough."""
    with transaction() as session:
        hold_lock(session, "placement")
        row = session.get_one(Cluster, reserve.ONLY, with_for_update=True, populate_existing=True)
        actor = resting.person(session)
        if actor is None:
            return
        seen = resting.survey(session)
        if _wake_needed(session, row, actor, seen):
            row.rest_looks = 0
            return
        quiet = seen.decision.ids("rest") and not _changing(seen.nodes) and rebalancing_rules.is_quiet(session)
        row.rest_looks = row.rest_looks + 1 if quiet else 0
        if row.rest_looks >= QUIET_LOOKS:
            _put_one_to_rest(session, actor, seen)


def _changing(nodes: Sequence[Node]) -> bool:
    """Whether a node is on its way to rest, or back: one at a time."""
    return any(node.rest_step not in (RestStep.NONE, RestStep.RESTING) for node in nodes)


def _wake_needed(session: Session, row: Cluster, actor: User, seen: Survey) -> bool:
    """Have those woken that the schedule says, or one for a request that was refused; returns whether there are any."""
    whys = {each.node_id: seen.why(each) for each in seen.decision.verdicts if each.action == "wake"}
    asleep = [node for node in seen.nodes if node.rest_step in ASLEEP]
    if not whys and asleep and row.lack_at is not None and is_recent(row.lack_at, LACK):
        largest = max(asleep, key=lambda node: (node.memory_total_mib or 0, -node.id))
        whys = {largest.id: message("resting.wake_refused")}
        row.lack_at = None
    for node in asleep:
        if node.id in whys:
            wake(session, actor, held(session, node.id), whys[node.id])
    return bool(whys)


def _put_one_to_rest(session: Session, actor: User, seen: Survey) -> None:
    """The emptiest that nothing speaks against; of each that something does, what that is. The rule decides again
    without those: another may rest in its place."""
    used, barred = {host.id: host.used_mib for host in seen.hosts}, set[int]()
    while len(barred) < MOST_VETOES:
        found = seen.without(barred)
        whys = {each.node_id: seen.why(each) for each in found.verdicts if each.action == "rest"}
        if not whys:
            return
        row = held(session, min(whys, key=lambda id_: (used[id_], id_)))
        row.rest_note = rest_vetoes.veto(session, actor, row, seen)
        if not row.rest_note:
            begin(session, actor, row, whys[row.id])
            return
        barred.add(row.id)


def begin(session: Session, actor: User, node: Node, why: Message, by: User | None = None) -> MovePlan:
    """Have a node that is held emptied, to rest, in the present transaction, which holds the lock of placement. `by` is
    the person who asked for it, if one has."""
    plan = plans.begin(
        session,
        PlanKind.DRAIN,
        actor,
        [plans.NewMove(clone) for clone in draining.clones_on(session, [node.id])],
        nodes=[node],
        choices=draining.chosen(rest_vetoes.WISHES) | {plans.RESTS: True},
        picture={"why": why.to_json()},
    )
    node.service_state, node.serves_as = ServiceState.DRAINING, ""
    node.end_maintenance()
    node.take_rest_step(RestStep.EMPTYING, why)
    events.record(session, by, "rest", node, why)
    return plan


def wake(session: Session, actor: User | None, node: Node, why: Message) -> None:
    """Have a node that rests woken, or stay where it is not empty yet, in the present transaction. One that is just
    going off is woken once it is, by the next look."""
    if node.rest_step == RestStep.EMPTYING:
        _stay(actor, node)
    elif node.rest_step == RestStep.RESTING and node.rests:
        try:
            waking.wake(session, None, node, {"enable": True, RESTS: True}, why)
        except Conflict as error:
            _cannot_wake(session, node, error.message)
            return
        _count(session, node)
        node.take_rest_step(RestStep.WAKING, why)


def _stay(actor: User | None, node: Node) -> None:
    """End the plan that empties it; what has moved stays where it is."""
    plan = _plan(node)
    canceller = actor or (plan.user if plan else None)
    if plan is not None and plan.state == PlanState.OPEN and canceller is not None:
        plan.choices = {**plan.choices, _STAYS: True}
        plans.cancel(canceller, plan.id)


def _count(session: Session, node: Node) -> None:
    """Add what its rest has saved to what all have."""
    row = session.get_one(Cluster, reserve.ONLY, with_for_update=True, populate_existing=True)
    hours = node.rest_hours(now())
    row.rested_hours += hours
    row.rested_kwh += hours * node.watts / 1000


def steps_due() -> list[Sequence[int]]:
    """The ids of the nodes that rest, or are on the way, for one job; nothing where there is none."""
    query = select(Node.id).where(Node.rest_step != RestStep.NONE).order_by(Node.id)
    ids = db.session.scalars(query).all()
    return [ids] if ids else []


def go_on(node_ids: Sequence[int]) -> None:
    """Do the next step of each, if it is time for it; what goes wrong with one is that one's own."""
    for node_id in node_ids:
        with guarded(partial(_note, node_id), node=node_id):
            step(node_id)


def _note(node_id: int, why: Message) -> None:
    with transaction() as session:
        node = session.get(Node, node_id, with_for_update=True, populate_existing=True)
        if node is not None:  # else it was removed since, which is no trouble of the others
            node.rest_note = why


def step(node_id: int) -> None:
    """Look how far the rest of a node is, and go on with it."""
    with transaction() as session:
        hold_lock(session, "placement")
        node = held(session, node_id)
        match node.rest_step:
            case RestStep.EMPTYING:
                _while_emptying(session, node)
            case RestStep.GOING_OFF:
                _while_going_off(session, node)
            case RestStep.RESTING:
                _while_resting(session, node)
            case RestStep.WAKING:
                _while_waking(session, node)


def _while_emptying(session: Session, node: Node) -> None:
    plan, actor = _plan(node), resting.person(session)
    unwanted = node.rest_held or (NOTHING if actor else message("resting.wake_switched_off"))
    if plan is not None and node.leaves_to_rest and plan.state == PlanState.OPEN:
        if unwanted:
            _stay(actor, node)
    elif plan is not None and _is_emptied(node, plan):
        if not unwanted and node.other_running:
            # Started there by others while it was emptied: nobody's machine is turned off for a rest.
            unwanted = message("resting.others_run", names=node.other_running[: rest_vetoes.NAMED])
        if unwanted or actor is None:
            _serve_again(session, node, unwanted)
        else:
            _shut_down(session, actor, node, Message.from_json(plan.picture.get("why")))
    elif plan is not None and node.service_state == ServiceState.ENABLED and _has_ended_by_itself(plan):
        _end(session, node, plan.note)
    else:
        _let_go(session, node)


def _is_emptied(node: Node, plan: MovePlan) -> bool:
    in_maintenance = node.service_state == ServiceState.MAINTENANCE and not node.maintenance_by
    return in_maintenance and plan.state == PlanState.DONE


def _has_ended_by_itself(plan: MovePlan) -> bool:
    """Whether something was left, or the schedule itself has ended it."""
    return plan.state == PlanState.STOPPED or bool(plan.choices.get(_STAYS))


def _shut_down(session: Session, actor: User, node: Node, why: Message) -> None:
    """It is empty: its host goes off."""
    try:
        host_power.rest(session, actor, node)
    except Conflict as error:
        _hold(session, node, message("resting.held_not_off", why=error.message))
    else:
        node.take_rest_step(RestStep.GOING_OFF, why)


def _while_going_off(session: Session, node: Node) -> None:
    operation = _operation(session, node, host_power.OFF)
    if operation is None or not node.rests:
        _let_go(session, node)
    elif operation.state == OperationState.DONE:
        node.take_rest_step(RestStep.RESTING, node.rest_note)
        events.record(session, None, "rests", node, node.rest_note)
    elif operation.state == OperationState.CANCELLED and "boot" not in operation.result:
        _hold(session, node, message("resting.held_cancelled"))
    elif operation.state == OperationState.CANCELLED:
        _let_go(session, node)  # it was told to go off already: nothing is placed there
    elif operation.over:
        _hold(session, node, message("resting.held_not_off", why=operation.error))


def _while_resting(session: Session, node: Node) -> None:
    actor = resting.person(session)
    woken = _newest(session, node)
    if not node.rests or (woken is not None and woken.kind == waking.WAKE and not woken.over):
        _count(session, node)
        _let_go(session, node, woken)
    elif node.is_reachable:
        _count(session, node)
        _hold(session, node, message("resting.held_turned_on"))
    elif node.rest_held or actor is None:
        # Who has switched it off, or may no longer decide on nodes, leaves none asleep behind.
        wake(session, actor, node, node.rest_held or message("resting.wake_switched_off"))


def _while_waking(session: Session, node: Node) -> None:
    operation = _operation(session, node, waking.WAKE)
    is_enabled = node.service_state == ServiceState.ENABLED
    if operation is None or not (node.rests or is_enabled) or operation.state == OperationState.CANCELLED:
        _let_go(session, node)
    elif operation.state == OperationState.DONE:
        _end(session, node, NOTHING)
    elif operation.over:
        _cannot_wake(session, node, operation.error)


def _plan(node: Node) -> MovePlan | None:
    """The plan that empties the node to rest; None where a person's own came after it."""
    plan = plans.last_on(node)
    return plan if plan is not None and plan.choices.get(plans.RESTS) else None


def _newest(session: Session, node: Node) -> Operation | None:
    """What was asked of the node's host last."""
    query = select(Operation).where(Operation.node_id == node.id, Operation.kind.startswith("host_"))
    return session.scalar(query.order_by(Operation.id.desc()).limit(1))


def _operation(session: Session, node: Node, kind: str) -> Operation | None:
    """What the schedule has asked of the node's host; None where a person has asked for something after it."""
    found = _newest(session, node)
    return found if found is not None and found.kind == kind and found.params.get(RESTS) else None


def _end(session: Session, node: Node, note: Message) -> None:
    """Its rest is over, or comes to nothing; `note` is why."""
    node.take_rest_step(RestStep.NONE, note)
    events.record(session, None, "end_rest", node, note)


def _serve_again(session: Session, node: Node, why: Message) -> None:
    service_state.enable_again(session, node, why)
    _end(session, node, why)


def _hold(session: Session, node: Node, why: Message) -> None:
    """It serves again, and is left alone until a person has looked."""
    if node.service_state == ServiceState.MAINTENANCE and not node.maintenance_by:
        service_state.enable_again(session, node, why)
    node.rest_held = why
    _end(session, node, why)


def _cannot_wake(session: Session, node: Node, why: Message) -> None:
    """It is needed, and down: as of any node that is, there is an alert of it from now on, which says why."""
    if node.rest_step == RestStep.RESTING:
        _count(session, node)
    _hold(session, node, message("resting.wake_failed", why=why))


def _let_go(session: Session, node: Node, woken: Operation | None = None) -> None:
    """A person has decided otherwise: the node is that person's, and is left alone from now on."""
    if node.service_state == ServiceState.MAINTENANCE and not node.maintenance_by:
        by = session.get(User, woken.user_id) if woken is not None and woken.user_id else resting.person(session)
        node.maintenance_by, node.maintenance_since = by.name if by else "", now()
    node.rest_held = node.rest_held or message("resting.held_by_person")
    _end(session, node, node.rest_held)
