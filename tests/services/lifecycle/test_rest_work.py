"""Nodes rest and are woken by the schedule: step by step, on rows alone; and people's word comes first."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.config import settings
from ravada_web.errors import Conflict, NotAllowed
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import (
    Alert,
    AllowedNode,
    Away,
    Clone,
    CloneState,
    Cluster,
    Event,
    MovePlan,
    Node,
    NodeSample,
    Observed,
    Operation,
    OperationState,
    PlanState,
    RestStep,
    Role,
    ServiceState,
    User,
    now,
)
from ravada_web.services.clones.errors import NoRoom
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.lifecycle import (
    draining,
    host_power,
    rest_requests,
    rest_work,
    resting,
    service_state,
    waking,
    waking_work,
)
from ravada_web.services.lifecycle.resting import STEP, Wishes
from ravada_web.services.monitoring import alerts
from ravada_web.services.moves import plan_work, plans
from ravada_web.services.nodes.history import bucket
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes, make_user
from tests.support.refusals import refused


@pytest.fixture
def chief(people: People, monkeypatch: pytest.MonkeyPatch) -> User:
    return quiet_cluster(monkeypatch)


def quiet_cluster(monkeypatch: pytest.MonkeyPatch) -> User:
    """Who has had nodes rest: of four, n3 and n4 may, and it has been quiet for a week."""
    monkeypatch.setattr(settings(), "wake_command", "/bin/true")
    found = make_user("chief", Role.ADMINISTRATOR)
    ids = make_nodes(4)
    change(Node, Node.id == ids[0], local=True)
    resting.save(found, Wishes(25, 2, 0, 0, True, frozenset(ids[2:]), dict.fromkeys(ids, 500)))
    with transaction() as session:
        for hours in range(7 * 24 + 1):
            at = bucket(now(), STEP) - timedelta(hours=hours)
            session.add(NodeSample(node_id=ids[0], step=STEP, at=at, cpu_load=0.1, memory_used=0.05))
    rest_requests.switch(found, on=True)
    return found


def node(name: str) -> Node:
    db.session.rollback()
    return db.session.scalars(select(Node).where(Node.name == name)).one()


def quiet() -> None:
    """A look, where the ones before have found that some may rest."""
    change(Cluster, rest_looks=rest_work.QUIET_LOOKS - 1)
    rest_work.look()


def much_is_used() -> None:
    """More than those that are awake have room for, with n3 asleep."""
    change(Node, Node.name != "n3", memory_free_mib=4000)
    rest_work.look()


def steps() -> None:
    """What the ticker does every second and every few."""
    db.session.rollback()
    for ids in plan_work.due():
        plan_work.go_on(ids)
    for ids in rest_work.steps_due():
        rest_work.go_on(ids)
        rest_work.go_on(ids)  # as when one was killed, or two are at it: it has its effect once


def newest() -> Operation:
    db.session.rollback()
    return db.session.scalars(select(Operation).order_by(Operation.id.desc()).limit(1)).one()


def end(state: OperationState, **values: object) -> None:
    change(Operation, Operation.id == newest().id, state=state, finished_at=now(), **values)


def is_off(name: str) -> None:
    """Its host has gone off."""
    change(Node, Node.name == name, seen=Observed.DOWN, away=Away.SILENT)
    end(OperationState.DONE)


def comes_up(name: str) -> None:
    """Its host is up, as the one who watches it sees."""
    change(Node, Node.name == name, seen=Observed.UP, away=Away.NONE)
    change(Operation, Operation.id == newest().id, state=OperationState.WATCHED, result={"tried": []})
    waking_work.watch([newest().id])


def goes_to_rest() -> None:
    quiet()
    steps()
    is_off("n3")
    steps()
    assert node("n3").rest_step == RestStep.RESTING


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_node_rests_when_it_is_quiet_and_is_woken_when_more_is_used(
    migrated_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    chief = quiet_cluster(monkeypatch)
    for _look in range(2):
        rest_work.look()
    assert not node("n3").rest_step and db.session.get_one(Cluster, 1).rest_looks == 2, "not quiet for long enough"
    quiet()
    row = node("n3")
    assert (row.rest_step, row.service_state) == (RestStep.EMPTYING, ServiceState.DRAINING)
    assert row.rest_note.kind == "resting.rests"
    quiet()
    assert not node("n4").rest_step, "one at a time"
    steps()
    assert (node("n3").rest_step, newest().kind) == (RestStep.GOING_OFF, host_power.OFF)
    assert not waking.may(node("n3")), "it is not off yet"
    is_off("n3")
    steps()
    row = node("n3")
    assert row.rests and row.rest_step == RestStep.RESTING and row.rest_note.kind == "resting.rests"
    with transaction() as session:
        alerts.update(session, [session.get_one(Node, row.id)], now())
    assert db.session.scalar(select(Alert)) is None, "it is no alarm"
    change(Node, Node.name == "n3", rest_since=now() - timedelta(hours=2))
    assert resting.look(chief).saved == resting.Saved(pytest.approx(2, abs=0.1), pytest.approx(1, abs=0.1))
    rest_work.look()
    assert node("n3").rest_step == RestStep.RESTING
    much_is_used()
    row, operation = node("n3"), newest()
    assert (row.rest_step, operation.kind, operation.user_id) == (RestStep.WAKING, waking.WAKE, None)
    assert row.rest_note.kind == "resting.wake_used"
    rest_work.look()
    comes_up("n3")
    steps()
    row = node("n3")
    assert (row.rest_step, row.service_state, str(row.rest_held)) == ("", ServiceState.ENABLED, "")
    assert db.session.scalars(select(Operation.kind)).all().count(waking.WAKE) == 1
    assert resting.look(chief).saved.kwh == pytest.approx(1, abs=0.1), "what was saved is kept"
    change(Node, memory_free_mib=16000)
    assert resting.look(chief).said[row.id].why.kind == "resting.rest_settling", "nor does it go to and fro"
    actions = db.session.scalars(select(Event.action).order_by(Event.id)).all()
    assert [each for each in actions if "rest" in each or each == "wake"] == [
        "rest_on", "rest", "rests", "wake", "end_rest",
    ]  # fmt: skip


def cancel_plan(chief: User) -> None:
    plans.cancel(chief, db.session.scalars(select(MovePlan.id)).one())


def enable(chief: User) -> None:
    service_state.set_service_state(chief, node("n3"), "enabled", unverified=True)


def maintain(chief: User) -> None:
    service_state.begin_maintenance(chief, node("n3"), "new disks")


def wake(chief: User) -> None:
    waking.request_wake(chief, node("n3"), enable=True)


def turn_on(_chief: User) -> None:
    change(Node, Node.name == "n3", seen=Observed.UP, away=Away.NONE)


@pytest.mark.parametrize(
    ("step", "decides", "state"),
    [
        (RestStep.EMPTYING, cancel_plan, ServiceState.ENABLED),
        (RestStep.EMPTYING, enable, ServiceState.ENABLED),
        (RestStep.GOING_OFF, maintain, ServiceState.MAINTENANCE),
        (RestStep.RESTING, maintain, ServiceState.MAINTENANCE),
        (RestStep.RESTING, wake, ServiceState.MAINTENANCE),
        (RestStep.RESTING, turn_on, ServiceState.ENABLED),
        (RestStep.WAKING, maintain, ServiceState.MAINTENANCE),
    ],
)
def test_what_a_person_decides_comes_first(
    chief: User, step: RestStep, decides: Callable[[User], None], state: ServiceState
) -> None:
    quiet()
    if step != RestStep.EMPTYING:
        steps()
    if step in (RestStep.RESTING, RestStep.WAKING):
        is_off("n3")
        steps()
    if step == RestStep.WAKING:
        much_is_used()
    assert node("n3").rest_step == step
    decides(chief)
    rest_work.go_on([node("n3").id])
    row = node("n3")
    assert (row.rest_step, row.service_state) == ("", state) and row.rest_held
    if step == RestStep.WAKING:
        comes_up("n3")
    steps()
    quiet()
    row = node("n3")
    assert (row.rest_step, row.service_state) == ("", state), "and the schedule leaves it alone"
    if state == ServiceState.MAINTENANCE:
        assert row.maintenance_by == "chief"


def test_one_that_cannot_be_woken_is_an_alert_and_is_left_alone_until_somebody_has_looked(chief: User) -> None:
    goes_to_rest()
    much_is_used()
    end(OperationState.FAILED, error=message("waking.failed", why="no power"))
    steps()
    row = node("n3")
    assert (row.rest_step, row.service_state) == ("", ServiceState.ENABLED)
    with transaction() as session:
        alerts.update(session, [session.get_one(Node, row.id)], now())
    alert = db.session.scalars(select(Alert)).one()
    assert alert.state == "down" and "could not be woken" in str(alert.text) and "no power" in str(alert.text)
    change(Node, seen=Observed.UP, away=Away.NONE, memory_free_mib=16000, rest_since=None)
    quiet()
    assert node("n4").rest_step, "another one may rest, this one not"
    assert not node("n3").rest_step and resting.look(chief).said[row.id].why.kind == "resting.wake_failed"
    rest_requests.let_rest(chief, row.id)
    assert not node("n3").rest_held


def test_what_keeps_its_desktops_keeps_it_on_and_says_so(chief: User) -> None:
    ids = list(db.session.scalars(select(Node.id).order_by(Node.id)))
    base = make_base(ids)
    change(Node, Node.id != ids[2], service_state=ServiceState.DISABLED)
    request_clones(chief, Request(base, 1, "desk", "chief"))
    change(Node, service_state=ServiceState.ENABLED)
    change(Operation, state=OperationState.DONE)
    change(Node, Node.name == "n4", may_rest=False)
    change(Clone, state=CloneState.RUNNING)

    def why() -> str:
        quiet()
        return resting.look(chief).said[ids[2]].why.kind

    assert why() == "resting.desktops_stay", "nothing here tells that it could move while it runs"
    change(Clone, state=CloneState.STOPPED)
    change(Node, Node.name == "n3", other_running=["somebody-elses"])
    assert why() == "resting.others_run"
    change(Node, Node.name == "n3", other_running=[])
    with transaction() as session:
        kept = session.scalars(select(AllowedNode).where(AllowedNode.node_id.in_(ids[:1] + ids[3:]))).all()
        for each in kept:
            session.delete(each)
    assert why() == "resting.bases_need_it"
    with transaction() as session:
        session.add_all(AllowedNode(base_id=base, node_id=id_) for id_ in (ids[0], ids[3]))
    rest_work.look()
    assert node("n3").rest_step == RestStep.EMPTYING, "off, it moves away"


def test_where_one_cannot_rest_another_does_in_its_place(chief: User) -> None:
    change(Node, memory_free_mib=16_384 - 5000)  # so only one may
    change(Node, Node.name == "n3", other_running=["somebody-elses"])
    quiet()
    assert not node("n3").rest_step and node("n3").rest_note.kind == "resting.others_run"
    assert node("n4").rest_step == RestStep.EMPTYING


def test_a_drain_that_something_is_left_of_ends_with_the_node_in_service(chief: User) -> None:
    quiet()
    plan = db.session.scalars(select(MovePlan)).one()
    with transaction() as session:
        plan_work._end(session, plans.held(session, plan.id), PlanState.STOPPED, message("plans.nobody"))
    assert node("n3").service_state == ServiceState.ENABLED
    steps()
    row = node("n3")
    assert not row.rest_step and not row.rest_held and row.rest_note.kind == "plans.nobody"


def test_a_machine_of_others_that_was_started_meanwhile_is_not_turned_off(chief: User) -> None:
    quiet()
    change(Node, Node.name == "n3", other_running=["somebodys-vm"])
    steps()
    row = node("n3")
    assert (row.rest_step, row.service_state, row.rest_note.kind) == ("", ServiceState.ENABLED, "resting.others_run")
    assert db.session.scalar(select(Operation.id).where(Operation.kind == "host_off")) is None


def test_a_host_that_was_told_to_go_off_already_does_not_serve_when_that_is_cancelled(chief: User) -> None:
    quiet()
    steps()
    assert newest().kind == "host_off"
    end(OperationState.CANCELLED, result={"boot": "a boot"})
    steps()
    row = node("n3")
    assert (row.rest_step, row.service_state) == ("", ServiceState.MAINTENANCE) and row.maintenance_by


def test_a_node_that_is_removed_meanwhile_is_no_trouble_of_the_others(chief: User) -> None:
    quiet()
    rest_work.go_on([999, node("n3").id])
    assert node("n3").rest_step == RestStep.EMPTYING, "nothing was raised"


def test_needed_before_it_is_empty_it_stays_and_the_plan_ends(chief: User) -> None:
    quiet()
    much_is_used()
    steps()
    row = node("n3")
    assert (row.rest_step, row.service_state, str(row.rest_held)) == ("", ServiceState.ENABLED, "")


@pytest.mark.parametrize("step", [RestStep.EMPTYING, RestStep.GOING_OFF, RestStep.RESTING])
def test_switched_off_or_in_nobodys_name_none_stays_asleep(chief: User, step: RestStep) -> None:
    quiet()
    if step != RestStep.EMPTYING:
        steps()
    if step == RestStep.RESTING:
        is_off("n3")
        steps()
        change(User, User.id == chief.id, role=Role.USER)
    else:
        rest_requests.switch(chief, on=False)
    assert node("n3").rest_step == step
    steps()
    if step == RestStep.GOING_OFF:
        is_off("n3")
        steps()
        steps()
    if step == RestStep.EMPTYING:
        assert (node("n3").rest_step, node("n3").service_state) == ("", ServiceState.ENABLED)
    else:
        assert (node("n3").rest_step, newest().kind) == (RestStep.WAKING, waking.WAKE)


def test_people_have_it_rest_now_or_not_at_all(chief: User) -> None:
    third, fourth = node("n3").id, node("n4").id
    with pytest.raises(NotAllowed):
        rest_requests.rest_now(make_user("oper", Role.OPERATOR), third)
    change(Node, Node.name != "n3", memory_free_mib=4000)
    with refused(Conflict, "resting.would_be_woken"):
        rest_requests.rest_now(chief, third)
    change(Node, memory_free_mib=16000)
    for state in (ServiceState.DISABLED, ServiceState.MAINTENANCE):
        change(Node, Node.name == "n3", service_state=state)
        with refused(Conflict, "resting.not_in_service"):
            rest_requests.rest_now(chief, third)
    change(Node, Node.name == "n3", service_state=ServiceState.ENABLED)
    rest_requests.rest_now(chief, third)
    assert str(node("n3").rest_note) == "Requested by chief."
    with refused(Conflict, "resting.one_at_a_time"):
        rest_requests.rest_now(chief, fourth)
    rest_requests.keep_awake(chief, third)
    steps()
    row = node("n3")
    assert (row.rest_step, row.service_state) == ("", ServiceState.ENABLED)
    assert str(row.rest_held) == "chief keeps it awake."
    quiet()
    assert not node("n3").rest_step and node("n4").rest_step
    rest_requests.switch(chief, on=False)
    with refused(Conflict, "resting.not_on"):
        rest_requests.rest_now(chief, third)


def test_for_a_request_that_was_refused_one_is_woken(chief: User) -> None:
    ids = list(db.session.scalars(select(Node.id).order_by(Node.id)))
    base = make_base(ids, memory_mib=4096)
    goes_to_rest()
    with pytest.raises(NoRoom):
        request_clones(chief, Request(base, 40, "class", "chief", start_after=True))
    assert db.session.get_one(Cluster, 1).lack_at is not None
    rest_work.look()
    assert node("n3").rest_step == RestStep.WAKING and node("n3").rest_note.kind == "resting.wake_refused"


def test_nobody_drains_shuts_down_or_wakes_beside_it(chief: User) -> None:
    quiet()
    with pytest.raises(Exception, match="drained"):
        draining.request_drain(chief, [node("n3").id], draining.Wishes())
    steps()
    with refused(Conflict, "nodes.power_under_way"):
        host_power.request_power(chief, node("n3"), host_power.OFF)
