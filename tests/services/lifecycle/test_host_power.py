"""Maintenance of nodes, and the power of their hosts: what is refused, in which order it goes, and how it ends."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from ravada_web.errors import Conflict, InvalidInput, NotAllowed
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, message
from ravada_web.models import (
    Alert,
    Away,
    Cause,
    Clone,
    CloneState,
    Event,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    now,
)
from ravada_web.services.clones import remains
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.lifecycle import host_power, host_power_work, service_state
from ravada_web.services.monitoring import alerts
from ravada_web.services.transaction import transaction
from ravada_web.web.labels.nodes import SHUT_DOWN, of
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes
from tests.support.refusals import refused


@pytest.fixture
def node_id(people: People) -> int:
    """A node that is not this server, with two clones that run there and nothing in work."""
    _master, found = make_nodes(2)
    request_clones(people.administrator, Request(make_base([found]), 2, "desk", people.user.name))
    change(Clone, state=CloneState.RUNNING)
    with transaction() as session:
        session.execute(update(Operation).values(state=OperationState.DONE))
        # Nobody answers here, and that is known at once.
        session.execute(update(Node).values(address="127.0.0.1", port=9).where(Node.id == found))
    return found


def node(node_id: int) -> Node:
    db.session.rollback()
    return db.session.get_one(Node, node_id)


def read(operation: Operation) -> Operation:
    db.session.rollback()
    return db.session.get_one(Operation, operation.id)


def states() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Clone.state).order_by(Clone.id)))


def requested(people: People, node_id: int, kind: str, stubborn: str = host_power.LEAVE) -> Operation:
    """The operation, from where it is watched."""
    operation = host_power.request_power(people.administrator, node(node_id), kind, stubborn)
    with transaction() as session:
        row = session.get_one(Operation, operation.id)
        row.state, row.result = OperationState.WATCHED, {"waits_for": "guests", "asked": row.params["asked"]}
        row.watched_until = now() + timedelta(seconds=host_power_work.GUESTS_SECONDS)
        session.execute(update(Operation).where(Operation.kind == "clones_stop").values(state=OperationState.DONE))
    return operation


def look(operation: Operation, **result: Any) -> Operation:
    """What a look makes of it; with what was found on the host before."""
    if result:
        with transaction() as session:
            row = session.get_one(Operation, operation.id)
            row.result = row.result | result
    host_power_work.watch([operation.id])
    return read(operation)


def test_maintenance_says_by_whom_why_and_until_when_and_ends_when_it_is_enabled(people: People, node_id: int) -> None:
    service_state.begin_maintenance(people.administrator, node(node_id), " new disks ", 2)
    found = node(node_id)
    assert (found.service_state, found.maintenance_by) == ("maintenance", people.administrator.name)
    assert found.maintenance_why == "new disks" and found.maintenance_plan.kind == "nodes.maintenance_planned"
    assert states() == ["running", "running"]
    service_state.set_service_state(people.administrator, found, "enabled", unverified=True)
    found = node(node_id)
    assert (found.maintenance_by, found.maintenance_why, found.maintenance_until) == ("", "", None)


@pytest.mark.parametrize(("why", "hours", "field"), [("x" * 201, 2, "why"), ("", 0, "hours"), ("", 2161, "hours")])
def test_a_plan_that_is_none_is_said_beside_its_field(
    people: People, node_id: int, why: str, hours: int, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        service_state.begin_maintenance(people.administrator, node(node_id), why, hours)
    assert list(caught.value.fields) == [field] and node(node_id).service_state == "enabled"


def test_its_alerts_are_silent_until_it_takes_longer_than_planned(people: People, node_id: int) -> None:
    def alarms() -> list[str]:
        with transaction() as session:
            alerts.update(session, [session.get_one(Node, node_id)], now())
        db.session.rollback()
        return [alert.state for alert in db.session.scalars(select(Alert)) if alert.state]

    change(Node, seen=Observed.DOWN)
    assert alarms() == ["down"]
    service_state.begin_maintenance(people.administrator, node(node_id), "", 1)
    assert alarms() == []
    change(Node, maintenance_until=now() - timedelta(seconds=1))
    assert node(node_id).maintenance_plan.kind == "nodes.maintenance_over_time"
    assert alarms() == ["down"]
    change(Node, seen=Observed.UP)
    assert alarms() == ["maintenance"], "well as it is, it is forgotten"
    service_state.begin_maintenance(people.administrator, node(node_id), "disks are late", 5)
    assert alarms() == [] and node(node_id).maintenance_why == "disks are late"
    change(Node, maintenance_until=now() - timedelta(seconds=1), service_state="draining")
    assert alarms() == [], "it is not in maintenance yet"


def test_who_may_not_and_what_cannot_be_asked_is_refused(people: People, node_id: int) -> None:
    with pytest.raises(NotAllowed):
        host_power.request_power(people.operator, node(node_id), host_power.OFF)
    with pytest.raises(InvalidInput):
        host_power.request_power(people.administrator, node(node_id), host_power.OFF, "other")
    change(Node, seen=Observed.DOWN)
    with refused(Conflict, "nodes.power_not_up"):
        host_power.request_power(people.administrator, node(node_id), host_power.OFF)
    change(Node, seen=Observed.UP, local=True)
    with refused(Conflict, "nodes.power_this_server"):
        host_power.request_power(people.administrator, node(node_id), host_power.RESTART)
    change(Node, local=False, service_state="draining")
    with refused(Conflict, "nodes.power_draining"):
        host_power.request_power(people.administrator, node(node_id), host_power.OFF)
    change(Node, service_state="new")
    with refused(Conflict, "nodes.maintenance_new"):
        host_power.request_power(people.administrator, node(node_id), host_power.OFF)
    change(Node, service_state="enabled", access="libvirt")
    with refused(Conflict, "nodes.no_root"):
        host_power.request_power(people.administrator, node(node_id), host_power.RESTART)
    assert states() == ["running", "running"] and node(node_id).service_state == "enabled"


def test_guests_go_first_and_the_host_is_seen_through_to_off(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.OFF)
    assert states() == ["stopping", "stopping"] and node(node_id).service_state == "maintenance"
    with refused(Conflict, "nodes.power_under_way"):
        host_power.request_power(people.administrator, node(node_id), host_power.RESTART)
    assert look(operation).message.kind == "nodes.power_guests"
    change(Clone, state=CloneState.STOPPED)
    assert look(operation).result["waits_for"] == "host"
    change(Node, seen=Observed.DOWN, away=Away.REFUSES)
    assert look(operation, boot="a").state == "watched", "it shuts down, its guests may still run"
    change(Node, away=Away.SILENT)
    assert look(operation).state == "done" and node(node_id).service_state == "maintenance"


def test_what_moves_from_it_or_to_it_keeps_the_host_on(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.OFF)
    change(Clone, state=CloneState.MOVING, state_before=CloneState.RUNNING)
    assert look(operation).result["waits_for"] == "guests"
    change(Clone, state=CloneState.STOPPED)
    with transaction() as session:
        clone = session.scalars(select(Clone)).first()
        session.add(remains.of_clone(clone, node_id, "/pool", Cause.ARRIVING))
    assert look(operation).result["waits_for"] == "guests"
    with transaction() as session:
        session.execute(delete(Remains))
    assert look(operation).result["waits_for"] == "host"


def test_a_host_that_restarted_is_enabled_again_where_it_was(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.RESTART)
    change(Clone, state=CloneState.STOPPED)
    look(operation)
    assert look(operation, boot="a").state == "watched"
    assert look(operation, came_back=True).state == "done"
    assert node(node_id).service_state == "enabled"
    last = db.session.scalars(select(Event).where(Event.object_kind == "node").order_by(Event.id.desc())).first()
    assert last is not None and (last.actor, last.action) == ("system", "enable")


def test_guests_that_do_not_shut_down_keep_their_host_on(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.OFF)
    change(Clone, state=CloneState.RUNNING)
    ended = look(operation)
    assert (ended.state, ended.error.kind) == ("failed", "nodes.power_guests_left")
    assert len(ended.error.figures["names"]) == 2


def test_or_are_forced_off_once_where_that_was_chosen(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.OFF, host_power.FORCE)
    change(Clone, state=CloneState.RUNNING)
    assert look(operation).message.kind == "nodes.power_forced" and states() == ["stopping", "stopping"]
    change(Clone, state=CloneState.RUNNING)
    assert look(operation).state == "failed"


def test_one_that_started_meanwhile_is_asked_too(people: People, node_id: int) -> None:
    with transaction() as session:
        first = session.scalar(select(Clone.id).order_by(Clone.id).limit(1))
        session.execute(update(Clone).where(Clone.id == first).values(state=CloneState.STARTING))
    operation = requested(people, node_id, host_power.OFF)
    assert states() == ["starting", "stopping"]
    with transaction() as session:
        session.execute(update(Clone).where(Clone.id == first).values(state=CloneState.RUNNING))
        session.execute(update(Clone).where(Clone.id != first).values(state=CloneState.STOPPED))
    look(operation)
    assert states() == ["stopping", "stopped"]


def test_cancelled_before_the_host_was_asked_it_is_not(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.OFF)
    with transaction() as session:
        session.get_one(Operation, operation.id).cancel_asked = True
    ended = look(operation)
    assert (ended.state, ended.error.kind) == ("cancelled", "nodes.power_cancelled")


@pytest.mark.parametrize("off", [False, True])
def test_a_node_that_somebody_enables_meanwhile_keeps_its_host_on(people: People, node_id: int, off: bool) -> None:
    operation = requested(people, node_id, host_power.OFF)
    if off:
        change(Clone, state=CloneState.STOPPED)
        look(operation)
    service_state.set_service_state(people.administrator, node(node_id), "enabled", unverified=True)
    ended = look(operation)
    assert (ended.state, ended.error.kind) == ("cancelled", "nodes.power_in_service")


def test_of_two_looks_at_once_one_asks_the_host(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.RESTART)
    assert host_power_work._claim(operation.id, None, "first", NOTHING)
    assert not host_power_work._claim(operation.id, None, "second", NOTHING), "it saw the next start already"
    assert read(operation).result["boot"] == "first"


def test_a_host_that_does_not_take_it_is_said_and_ends_in_time(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.RESTART)
    change(Clone, state=CloneState.STOPPED)
    assert look(operation).message.kind.startswith("remote."), "nobody answers at its address"
    with transaction() as session:
        session.get_one(Operation, operation.id).watched_until = now() - timedelta(seconds=1)
    ended = look(operation)
    assert (ended.state, ended.error.kind) == ("failed", "nodes.host_restart_late")


def test_a_maintenance_that_has_begun_keeps_its_reason_and_plan(people: People, node_id: int) -> None:
    service_state.begin_maintenance(people.administrator, node(node_id), "new disks", 2)
    planned = node(node_id).maintenance_until
    host_power.request_power(people.administrator, node(node_id), host_power.OFF)
    found = node(node_id)
    assert (found.maintenance_why, found.maintenance_until) == ("new disks", planned) and planned is not None
    last = db.session.scalars(select(Event).where(Event.object_kind == "node").order_by(Event.id.desc())).first()
    assert last is not None and (last.actor, last.action) == (people.administrator.name, "host_off")


def test_each_step_of_a_host_that_goes_off_is_said(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.OFF)
    change(Clone, state=CloneState.STOPPED)
    look(operation)
    assert host_power_work._claim(operation.id, None, "a", message("nodes.host_off_asked"))
    assert look(operation).message.kind == "nodes.host_off_asked", "nobody answers: it is on its way"
    change(Node, Node.id == node_id, seen=Observed.DOWN, away=Away.REFUSES)
    assert look(operation).message.kind == "nodes.host_off_refuses"
    change(Node, Node.id == node_id, away=Away.SILENT)
    change(Operation, Operation.id == operation.id, user_id=None)  # whoever asked for it is deleted meanwhile
    change(Clone, state=CloneState.UNREACHABLE, reason=message("clones.away_silent", node="n2"))
    done = look(operation)
    assert (done.state, done.message.kind) == ("done", "nodes.host_off_done")
    assert {clone.reason.kind for clone in db.session.scalars(select(Clone))} == {"clones.away_shut_down"}
    found = node(node_id)
    assert found.is_shut_down and not found.is_known_off and found.what_now.kind == "nodes.now_shut_down"
    assert of(found) == SHUT_DOWN
    change(Node, Node.id == node_id, away=Away.REFUSES)
    assert not node(node_id).is_shut_down, "something answers there"


def test_what_the_host_said_is_kept_until_it_is_late(people: People, node_id: int) -> None:
    operation = requested(people, node_id, host_power.OFF)
    change(Clone, state=CloneState.STOPPED)
    look(operation)
    said = message("remote.display_silent", said="Operation inhibited")
    with transaction() as session:
        session.get_one(Operation, operation.id).watched_until = now() - timedelta(seconds=1)
    late = look(operation, boot="a", said=said.to_json())
    assert late.state == "failed" and "Operation inhibited" in str(late.error) and "still answers" in str(late.error)
