"""Draining nodes: a plan in rows alone, which ends whatever happens in the middle; what its operations do is simulated
by what they write."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select

from ravada_web.errors import Conflict, InvalidInput, NotAllowed
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import (
    AllowedNode,
    Base,
    Cause,
    Clone,
    CloneState,
    Console,
    Event,
    MovePlan,
    MoveState,
    MoveWay,
    Node,
    Observed,
    Operation,
    OperationState,
    PlannedMove,
    PlanState,
    Remains,
    Replica,
    ReplicaState,
    Role,
    ServiceState,
    User,
    now,
)
from ravada_web.platforms import Host
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.lifecycle import draining, service_state
from ravada_web.services.lifecycle.draining import FORCE_OFF, LEAVE, SHUT_DOWN, Wishes, request_drain
from ravada_web.services.moves import plan_work, plans
from ravada_web.services.transaction import transaction
from tests.support.factories import FACTS, change, make_base, make_nodes, make_user

one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
AT_ONCE = Wishes(minutes=0)
OPEN = (OperationState.WAITING, OperationState.RUNNING, OperationState.WATCHED)


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    return make_user("chief", Role.ADMINISTRATOR)


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_work, "GRACE", timedelta())


@pytest.fixture
def nodes(chief: User) -> dict[str, int]:
    """n1, with the clones of the tests, n2 and n3; a base on all of them."""
    ids = make_nodes(3)
    make_base(ids)
    return dict(zip(("n1", "n2", "n3"), ids, strict=True))


def make_clones(chief: User, count: int, *, volatile: bool = False, prefix: str = "desk") -> None:
    """So many clones on n1, off."""
    change(Node, Node.name != "n1", service_state=ServiceState.DISABLED)
    base = db.session.scalars(select(Base.id)).one()
    request_clones(chief, Request(base, count, prefix, chief.name, volatile=volatile))
    change(Node, service_state=ServiceState.ENABLED)
    change(Clone, Clone.state == CloneState.REQUESTED, state=CloneState.STOPPED)
    change(Operation, state=OperationState.DONE)


def clone(name: str) -> Clone:
    db.session.rollback()
    return db.session.scalars(select(Clone).where(Clone.name == name)).one()


def node(name: str) -> Node:
    db.session.rollback()
    return db.session.scalars(select(Node).where(Node.name == name)).one()


def plan_of(plan: MovePlan) -> MovePlan:
    db.session.rollback()
    return db.session.get_one(MovePlan, plan.id)


def look(plan: MovePlan) -> MovePlan:
    """One look of the ticker."""
    db.session.rollback()
    plan_work.go_on(plan_work.due()[0] if plan_work.due() else [])
    return plan_of(plan)


def moves(plan: MovePlan) -> dict[str, PlannedMove]:
    db.session.rollback()
    return {move.clone_name: move for move in plans.page_of(db.session.get_one(MovePlan, plan.id)).items}


def states(plan: MovePlan) -> dict[str, tuple[str, str]]:
    return {name: (move.way, move.state) for name, move in moves(plan).items()}


def open_operations(kind: str) -> Sequence[Operation]:
    db.session.rollback()
    query = select(Operation).where(Operation.kind == kind, Operation.state.in_(OPEN))
    return db.session.scalars(query.order_by(Operation.id)).all()


def finish_moves(only: Callable[[Operation], bool] = lambda _row: True, *, fail: bool = False) -> int:
    """What the moves' jobs write at their end; returns how many."""
    rows = [row for row in open_operations("clones_move") if only(row)]
    with transaction() as session:
        for row in rows:
            moved = session.get_one(Clone, row.params["clone_id"])
            moved.state = CloneState.STOPPED
            session.execute(delete(Remains).where(Remains.cause == Cause.ARRIVING, Remains.uuid == moved.uuid))
            if not fail:
                moved.node_id = row.params["target_id"]
            operation = session.get_one(Operation, row.id)
            operation.state = OperationState.FAILED if fail else OperationState.DONE
    return len(rows)


def finish(kind: str, **values: object) -> None:
    """What the jobs of a kind write at their end."""
    ids = [row.id for row in open_operations(kind)]
    change(Clone, Clone.operation_id.in_(ids), **values)
    change(Operation, Operation.id.in_(ids), state=OperationState.DONE)


def to_the_end(plan: MovePlan) -> MovePlan:
    """Look and finish what was asked for, until the plan is over."""
    for _round in range(30):
        if look(plan).ended_at:
            break
        finish_moves()
        finish("clones_stop", state=CloneState.STOPPED)
        finish("clones_start", state=CloneState.RUNNING)
        db.session.rollback()
        with transaction() as session:
            session.execute(delete(Clone).where(Clone.state == CloneState.DELETING))
    finish("clones_start", state=CloneState.RUNNING)
    return plan_of(plan)


@one
def test_all_leave_are_spread_and_the_node_is_in_maintenance(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 8)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_once=2, why="new disks", hours=3))
    assert node("n1").service_state == ServiceState.DRAINING
    look(plan)
    assert len(open_operations("clones_move")) == 2, "never more at once than was chosen"
    look(plan)
    assert len(open_operations("clones_move")) == 2
    done = to_the_end(plan)
    assert (done.state, done.note.kind) == (PlanState.DONE, "plans.done")
    assert {clone(f"desk-{number}").node.name for number in range(1, 9)} == {"n2", "n3"}
    assert sum(clone(f"desk-{number}").node.name == "n2" for number in range(1, 9)) == 4
    kept = node("n1")
    assert (kept.service_state, kept.maintenance_by, kept.maintenance_why) == (
        ServiceState.MAINTENANCE,
        "chief",
        "new disks",
    )
    assert kept.maintenance_until is not None
    actions = db.session.scalars(select(Event.action).where(Event.object_kind == "node")).all()
    assert [action for action in actions if action.startswith("drain")] == ["drain", "drained"]


@one
def test_the_next_goes_as_soon_as_one_has_moved(
    chief: User, nodes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clones(chief, 3)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_once=1))
    look(plan)
    for _move in range(2):
        (asked,) = open_operations("clones_move")
        plan_work.look_after(asked.id)
        assert [row.id for row in open_operations("clones_move")] == [asked.id], "it is not over"
        finish_moves()
        plan_work.look_after(asked.id)
        assert [row.id > asked.id for row in open_operations("clones_move")] == [True]
    (asked,) = open_operations("clones_move")
    finish_moves()
    with monkeypatch.context() as patch:
        patch.setattr(plan_work.plan_following, "follow", lambda *_given: 1 / 0)
        plan_work.look_after(asked.id)
    assert (plan_of(plan).state, plan_of(plan).failures) == (PlanState.OPEN, 0), "the ticker looks all the same"
    assert look(plan).state == PlanState.DONE


@one
def test_what_runs_is_shut_down_at_the_deadline_moved_and_started_again(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 2)
    change(Clone, Clone.name == "desk-1", state=CloneState.RUNNING)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=30))
    look(plan)
    assert states(plan)["desk-1"] == (MoveWay.SHUT_DOWN, MoveState.WAITING) and moves(plan)["desk-1"].to_id
    assert not open_operations("clones_stop"), "its user may stay"
    change(MovePlan, deadline=now() - timedelta(seconds=1))
    look(plan)
    assert clone("desk-1").state == CloneState.STOPPING
    assert to_the_end(plan).state == PlanState.DONE
    assert (clone("desk-1").node.name != "n1", clone("desk-1").state) == (True, CloneState.RUNNING)
    assert clone("desk-2").state == CloneState.STOPPED


@one
def test_volatile_ones_are_thrown_away_when_nobody_works_with_them(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 3, volatile=True, prefix="kiosk")
    change(Clone, Clone.name != "kiosk-3", state=CloneState.RUNNING)
    with transaction() as session:
        session.add(Console(clone_id=clone("kiosk-1").id, user_id=chief.id, gateway="g"))
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=30))
    look(plan)
    assert {name: way for name, (way, _state) in states(plan).items()} == {
        "kiosk-1": MoveWay.WAIT,
        "kiosk-2": MoveWay.THROW_AWAY,
        "kiosk-3": MoveWay.THROW_AWAY,
    }
    assert clone("kiosk-1").state == CloneState.RUNNING
    change(Console, closed_at=now() - timedelta(minutes=6))
    assert to_the_end(plan).state == PlanState.DONE
    db.session.rollback()
    assert not db.session.scalars(select(Clone)).all()


@one
def test_left_running_it_is_stopped_at_the_deadline_and_says_what_remains(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 2)
    change(Clone, Clone.name == "desk-1", state=CloneState.RUNNING)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_deadline=LEAVE))
    stopped = to_the_end(plan)
    assert (stopped.state, stopped.note.kind, stopped.note.figures["names"]) == (
        PlanState.STOPPED,
        "plans.stopped",
        ["desk-1"],
    )
    assert moves(plan)["desk-1"].reason.kind == "plans.drain_runs"
    assert node("n1").service_state == ServiceState.DISABLED and clone("desk-2").node.name != "n1"


IGNORED = message("clones.still_running", count=1, names=["desk-1"], limit_seconds=120)


def shutdown_ends(state: OperationState, error: Message) -> bool:
    """Have the shutdown that is under way end so, its guest running as before; returns whether it was forced."""
    (operation,) = open_operations("clones_stop")
    change(Clone, Clone.operation_id == operation.id, state=CloneState.RUNNING, reason=error)
    change(Operation, Operation.id == operation.id, state=state, error=error)
    return bool(operation.params["force"])


@one
def test_what_ignores_its_shutdown_is_forced_off_where_that_was_chosen(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 1)
    change(Clone, state=CloneState.RUNNING)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=30, at_deadline=FORCE_OFF))
    look(plan)
    assert not open_operations("clones_stop"), "its user may stay"
    change(MovePlan, deadline=now() - timedelta(seconds=1))
    look(plan)
    assert not shutdown_ends(OperationState.FAILED, IGNORED)
    change(PlannedMove, tries=2)  # it had failed to move while it ran, before
    look(plan)
    (forced,) = open_operations("clones_stop")
    assert forced.params["force"] and clone("desk-1").state == CloneState.STOPPING
    assert to_the_end(plan).state == PlanState.DONE
    assert (clone("desk-1").node.name != "n1", clone("desk-1").state) == (True, CloneState.RUNNING)


@one
@pytest.mark.parametrize(
    ("chosen", "state", "error"),
    [
        (SHUT_DOWN, OperationState.FAILED, IGNORED),
        (FORCE_OFF, OperationState.CANCELLED, message("operations.cancelled")),
        (FORCE_OFF, OperationState.FAILED, message("clones.shutdown_unknown", node="n1", names=["desk-1"])),
        (FORCE_OFF, OperationState.FAILED, replace(IGNORED, figures={**IGNORED.figures, "names": ["desk-2"]})),
    ],
)
def test_nothing_else_forces_it_off(
    chief: User, nodes: dict[str, int], chosen: str, state: OperationState, error: Message
) -> None:
    make_clones(chief, 1)
    change(Clone, state=CloneState.RUNNING)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_deadline=chosen))
    for _try in range(3):
        look(plan)
        assert not shutdown_ends(state, error)
    assert look(plan).state == PlanState.STOPPED and clone("desk-1").state == CloneState.RUNNING


@one
def test_a_force_off_that_fails_again_and_again_ends(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 1)
    change(Clone, state=CloneState.RUNNING)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_deadline=FORCE_OFF))
    forced = []
    for error in (IGNORED, message("clones.why_gone"), message("clones.why_gone")):
        look(plan)
        forced.append(shutdown_ends(OperationState.FAILED, error))
    assert look(plan).state == PlanState.STOPPED and forced == [False, True, True]


@one
def test_two_drains_at_once_do_not_send_anything_to_each_other(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 4)
    first = request_drain(chief, [nodes["n1"]], AT_ONCE)
    second = request_drain(chief, [nodes["n2"]], AT_ONCE)
    with pytest.raises(InvalidInput):
        request_drain(chief, [nodes["n1"]], AT_ONCE)
    assert to_the_end(first).state == to_the_end(second).state == PlanState.DONE
    assert {clone(f"desk-{number}").node.name for number in range(1, 5)} == {"n3"}


def test_a_target_that_dies_in_the_middle_is_left_out(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 4)
    plan = request_drain(chief, [nodes["n1"]], AT_ONCE)
    look(plan)
    assert {row.params["target_id"] for row in open_operations("clones_move")} == {nodes["n2"], nodes["n3"]}
    change(Node, Node.name == "n2", seen=Observed.DOWN)
    finish_moves(lambda row: row.params["target_id"] == nodes["n2"], fail=True)
    assert to_the_end(plan).state == PlanState.DONE
    assert {clone(f"desk-{number}").node.name for number in range(1, 5)} == {"n3"}


@one
def test_a_target_that_fills_in_the_middle_is_left_out_and_where_none_is_left_it_ends(
    chief: User, nodes: dict[str, int]
) -> None:
    make_clones(chief, 4)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_once=1))
    look(plan)
    change(Node, Node.name == "n2", clone_limit=1)
    change(Node, Node.name == "n3", clone_limit=2)
    stopped = to_the_end(plan)
    assert (stopped.state, stopped.note.figures["count"]) == (PlanState.STOPPED, 1)
    (left,) = [move for move in moves(plan).values() if move.state == MoveState.STAYS]
    assert left.reason.kind == "plans.no_place" and "has as many clones" in str(left.reason).replace(
        "2 clones", "as many clones"
    )


@one
def test_what_is_deleted_launched_or_moved_by_others_in_the_middle(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 4)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=30, at_once=1))
    look(plan)
    with transaction() as session:
        session.execute(delete(Clone).where(Clone.name == "desk-2"))
    change(Clone, Clone.name == "desk-3", state=CloneState.RUNNING)
    change(Clone, Clone.name == "desk-4", node_id=nodes["n3"])
    finish_moves()
    look(plan)
    found = states(plan)
    assert found["desk-1"][1] == MoveState.DONE
    assert found["desk-2"][1] == found["desk-4"][1] == MoveState.GONE
    assert found["desk-3"] == (MoveWay.SHUT_DOWN, MoveState.WAITING)
    assert moves(plan)["desk-4"].reason.kind == "plans.elsewhere"
    change(MovePlan, deadline=now() - timedelta(seconds=1))
    assert to_the_end(plan).state == PlanState.DONE
    assert clone("desk-3").state == CloneState.RUNNING


@one
def test_what_comes_to_the_node_in_the_middle_leaves_too(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 2)
    change(Clone, Clone.name == "desk-2", node_id=nodes["n2"])
    plan = request_drain(chief, [nodes["n1"]], AT_ONCE)
    change(Clone, Clone.name == "desk-2", node_id=nodes["n1"])
    assert to_the_end(plan).state == PlanState.DONE
    assert clone("desk-2").node.name != "n1" and set(states(plan)) == {"desk-1", "desk-2"}


@one
def test_a_base_that_is_missing_is_brought_first(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 1)
    with transaction() as session:
        session.execute(delete(Replica).where(Replica.node_id != nodes["n1"]))
        session.execute(delete(AllowedNode).where(AllowedNode.node_id == nodes["n3"]))
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, brings=False))
    assert to_the_end(plan).state == PlanState.STOPPED
    change(Node, Node.name == "n1", service_state=ServiceState.ENABLED)
    plan = request_drain(chief, [nodes["n1"]], AT_ONCE)
    look(plan)
    assert moves(plan)["desk-1"].reason.kind == "plans.drain_base_missing"
    (copy,) = open_operations("replica_copy")
    assert copy.node_id == nodes["n2"]
    assert look(plan).state == PlanState.OPEN
    change(Replica, state=ReplicaState.READY, directory="/var/lib/libvirt/images")
    change(Operation, Operation.id == copy.id, state=OperationState.DONE)
    assert to_the_end(plan).state == PlanState.DONE and clone("desk-1").node.name == "n2"


@one
def test_cancelled_what_has_moved_stays_and_the_rest_is_as_it_was(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 3)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_once=1))
    look(plan)
    finish_moves()
    look(plan)
    plans.cancel(chief, plan.id)
    assert node("n1").service_state == ServiceState.ENABLED and not node("n1").maintenance_by
    (operation,) = [row for row in db.session.scalars(select(Operation)) if row.state == OperationState.CANCELLED]
    assert operation.kind == "clones_move"
    assert look(plan).state == PlanState.CANCELLED
    assert sum(clone(f"desk-{number}").node.name == "n1" for number in (1, 2, 3)) == 2
    with pytest.raises(Conflict):
        plans.cancel(chief, plan.id)


@one
def test_cancelled_what_has_moved_goes_back_as_asked(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 3)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_once=2))
    look(plan)
    finish_moves()
    look(plan)
    plans.cancel(chief, plan.id, returns=True)
    assert look(plan).state == PlanState.CANCELLED
    db.session.rollback()
    back = db.session.scalars(select(MovePlan).where(MovePlan.id != plan.id)).one()
    assert to_the_end(back).state == PlanState.DONE
    assert {clone(f"desk-{number}").node.name for number in (1, 2, 3)} == {"n1"}


@one
def test_what_was_shut_down_for_its_move_is_started_again_where_the_drain_is_cancelled(
    chief: User, nodes: dict[str, int]
) -> None:
    make_clones(chief, 1)
    change(Clone, state=CloneState.RUNNING)
    plan = request_drain(chief, [nodes["n1"]], AT_ONCE)
    look(plan)
    change(Clone, state=CloneState.STOPPED)
    change(Operation, state=OperationState.DONE)
    plans.cancel(chief, plan.id)
    assert look(plan).state == PlanState.CANCELLED
    assert (clone("desk-1").state, clone("desk-1").node.name) == (CloneState.STARTING, "n1")


@one
def test_a_node_that_is_enabled_meanwhile_is_left_alone(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 3)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_once=1))
    look(plan)
    change(Node, Node.name == "n1", service_state=ServiceState.ENABLED)
    finish_moves()
    assert to_the_end(plan).state == PlanState.CANCELLED
    assert node("n1").service_state == ServiceState.ENABLED
    assert sum(clone(f"desk-{number}").node.name == "n1" for number in (1, 2, 3)) == 2


@one
def test_a_move_that_fails_again_and_again_ends(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 1)
    plan = request_drain(chief, [nodes["n1"]], AT_ONCE)
    tried = 0
    for _round in range(10):
        look(plan)
        tried += finish_moves(fail=True)
    assert tried == 2, "once to each node"
    assert plan_of(plan).state == PlanState.STOPPED and clone("desk-1").node.name == "n1"


def test_killed_between_any_two_steps_the_next_look_goes_on(
    chief: User, nodes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look is one transaction: whatever it dies in, nothing of it is there."""
    make_clones(chief, 4)
    change(Clone, Clone.name == "desk-1", state=CloneState.RUNNING)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_once=2))

    class Killed(BaseException):
        pass

    def killed(*_given: object, **_named: object) -> None:
        raise Killed

    for room, step in (
        (plan_work.plan_guests, "decide_all"),
        (plan_work.requests, "move_within"),
        (plan_work, "_end"),
        (plan_work.plan_following, "follow"),
    ):
        finish_moves()
        before, asked = states(plan), len(open_operations("clones_move"))
        with monkeypatch.context() as patch:
            patch.setattr(room, step, killed)
            try:
                look(plan)
            except Killed:
                assert states(plan) == before
                assert len(open_operations("clones_move")) == asked
    assert to_the_end(plan).state == PlanState.DONE
    assert all(clone(f"desk-{number}").node.name != "n1" for number in range(1, 5))


@one
def test_a_plan_whose_looks_go_wrong_ends(chief: User, nodes: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    make_clones(chief, 1)
    plan = request_drain(chief, [nodes["n1"]], AT_ONCE)
    monkeypatch.setattr(plan_work.plan_following, "follow", lambda *_given: 1 / 0)
    for _look in range(plan_work.FAILURES):
        look(plan)
    assert plan_of(plan).state == PlanState.STOPPED and node("n1").service_state == ServiceState.DISABLED


@one
def test_what_cannot_be_asked_for(chief: User, nodes: dict[str, int]) -> None:
    wrong = Wishes(minutes=-5, at_once=0, at_deadline="never", hours=0, why="x" * 201, until=now())
    with pytest.raises(InvalidInput) as refused:
        request_drain(chief, [nodes["n1"]], wrong)
    assert set(refused.value.fields) == {"minutes", "at_once", "at_deadline", "hours", "why", "until"}
    with pytest.raises(InvalidInput):
        request_drain(chief, [], AT_ONCE)
    for values in ({"seen": Observed.DOWN}, {"service_state": ServiceState.GIVEN_UP}, {"service_state": "new"}):
        change(Node, Node.name == "n2", **values)
        with pytest.raises(InvalidInput) as refused:
            request_drain(chief, [nodes["n1"], nodes["n2"]], AT_ONCE)
        assert set(refused.value.fields) == {"nodes"}
    assert node("n1").service_state == ServiceState.ENABLED
    with pytest.raises(NotAllowed):
        request_drain(make_user("op", Role.OPERATOR), [nodes["n1"]], AT_ONCE)


@one
def test_an_empty_node_is_done_at_once(chief: User, nodes: dict[str, int]) -> None:
    plan = request_drain(chief, [nodes["n3"]], AT_ONCE)
    assert look(plan).state == PlanState.DONE and node("n3").service_state == ServiceState.MAINTENANCE
    assert draining.under_way(node("n3")) is None


@one
def test_what_runs_moves_so_where_the_other_node_runs_it_as_it_is(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 1)
    host = Host("x86_64", "qemu", frozenset({"pc-q35-7.2"}), frozenset({"qemu64"}))
    change(Node, Node.name != "n3", facts=FACTS.to_dict(), platform=host.to_dict(), platform_digest=host.digest)
    change(Clone, state=CloneState.RUNNING, virt_type="qemu", machine="pc-q35-7.2", processor="qemu64")
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=30))
    for _failed in range(2):
        look(plan)
        (operation,) = open_operations("clones_move")
        assert (operation.params["live"], operation.params["target_id"]) == (True, nodes["n2"])
        change(Operation, Operation.id == operation.id, state=OperationState.FAILED)
        change(Clone, state=CloneState.RUNNING)
        with transaction() as session:
            session.execute(delete(Remains))
    look(plan)
    assert states(plan)["desk-1"] == (MoveWay.SHUT_DOWN, MoveState.WAITING), "its user may stay now"
    plans.cancel(chief, plan.id)
    look(plan)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=30))
    look(plan)
    change(Clone, state=CloneState.RUNNING, node_id=nodes["n2"])
    change(Operation, state=OperationState.DONE)
    assert look(plan).state == PlanState.DONE


@one
def test_one_in_maintenance_is_so_again_where_its_drain_is_cancelled(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 1)
    service_state.begin_maintenance(chief, node("n1"), "new disks")
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=30, why="empty it"))
    plans.cancel(chief, plan.id)
    assert (node("n1").service_state, node("n1").maintenance_by) == (ServiceState.MAINTENANCE, "chief")


@one
def test_what_has_left_for_a_node_that_then_dies_does_not_hold_up_the_drain(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 1)
    plan = request_drain(chief, [nodes["n1"]], AT_ONCE)
    look(plan)
    (operation,) = open_operations("clones_move")
    change(Clone, node_id=operation.params["target_id"])
    change(Operation, state=OperationState.WATCHED, message=message("moves.waits", node="n2"))
    with transaction() as session:
        session.execute(delete(Remains))
    assert look(plan).state == PlanState.DONE
    assert moves(plan)["desk-1"].reason.kind == "moves.waits"


@one
def test_who_asked_for_it_may_no_longer_and_nothing_of_it_holds_up_another(chief: User, nodes: dict[str, int]) -> None:
    make_clones(chief, 2)
    other = make_user("other", Role.ADMINISTRATOR)
    plan = request_drain(chief, [nodes["n1"]], Wishes(minutes=0, at_once=1))
    look(plan)
    change(User, User.name == "chief", active=False)
    change(MovePlan, changed_at=now() - timedelta(minutes=1))
    assert (look(plan).state, plan_of(plan).note.kind) == (PlanState.STOPPED, "plans.nobody")
    assert {state for _way, state in states(plan).values()} == {MoveState.STAYS}
    finish_moves(fail=True)
    assert to_the_end(request_drain(other, [nodes["n1"]], Wishes(minutes=0, at_once=1))).state == PlanState.DONE
