"""Shutting down and restarting clones on libvirt's own test driver, whose guests obey at once: what stays on, is
volatile, is cancelled, forced off or retried; and nodes that go away meanwhile.

A guest that ignores its power button is one that was started again behind the product's back.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import libvirt
import pytest
from sqlalchemy import select, update

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.models import IN_WORK, Clone, CloneState, Node, Observed, Operation, OperationState, now
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import shutdown_watch, shutdowns
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.desktops import cards, launching
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.sweep import Sweep, hand_back, queued_jobs
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><os><type>hvm</type></os></domain>"
)


@pytest.fixture
def node(people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[libvirt.virConnect]:
    """A node whose libvirt is the test driver, with two clones of the user that run there: pc-1 and pc-2."""
    (node_id,) = make_nodes(1)
    request_clones(people.administrator, Request(make_base([node_id]), 2, "pc", people.user.name))

    monkeypatch.setattr(endpoints, "libvirt_uri", lambda _where: "test:///default")
    with open_connection("test:///default") as connection:
        rows = db.session.scalars(select(Clone)).all()
        domains.define_all(connection, [XML.format(name=row.name, uuid=row.uuid) for row in rows])
        uuids = [row.uuid for row in rows]
        for uuid in uuids:
            domains.start(connection, uuid)
        with transaction() as session:
            session.execute(update(Clone).values(state=CloneState.RUNNING, started_at=now()))
            session.execute(update(Operation).values(state=OperationState.DONE))
        yield connection
        for uuid in uuids:
            domains.force_off(connection, uuid)
            connection.lookupByUUIDString(uuid).undefine()


def clone(name: str = "pc-1") -> Clone:
    db.session.rollback()
    return db.session.scalars(select(Clone).where(Clone.name == name)).one()


def operation() -> Operation:
    """The newest one."""
    db.session.rollback()
    return db.session.scalars(select(Operation).order_by(Operation.id.desc()).limit(1)).one()


def operation_of(before: Operation) -> Operation:
    """The same one, read anew."""
    db.session.rollback()
    return db.session.get_one(Operation, before.id)


def runs(connection: libvirt.virConnect, row: Clone) -> int:
    """The number of the domain's present run, which every start makes a new one; -1 while it is off."""
    return int(connection.lookupByUUIDString(row.uuid).ID())


@pytest.fixture
def look(drain: Callable[[], None]) -> Callable[[], None]:
    """Do what is queued, look at guests that were asked to shut down as the ticker has it done, do what follows."""

    def once() -> None:
        drain()
        for ids in shutdown_watch.due():
            shutdown_watch.watch(ids)
        drain()

    return once


def boot(connection: libvirt.virConnect, *names: str) -> None:
    """Have guests run again, as if they had not seen their power button."""
    for name in names:
        domains.start(connection, clone(name).uuid)


def pause(connection: libvirt.virConnect, name: str) -> None:
    """Have a guest be paused, and known to be."""
    connection.lookupByUUIDString(clone(name).uuid).suspend()
    change(Clone, Clone.name == name, state=CloneState.PAUSED)


def let_time_pass(seconds: float) -> None:
    """Have what was asked for last have been asked for so many seconds earlier."""
    asked = operation()
    assert asked.asked_at and asked.watched_until
    earlier = timedelta(seconds=seconds)
    times = {"asked_at": asked.asked_at - earlier, "watched_until": asked.watched_until - earlier}
    change(Operation, Operation.id == asked.id, **times)


def pass_deadline() -> None:
    """Have the deadline pass just after the button was pressed again."""
    change(Operation, Operation.id == operation().id, asked_at=now(), watched_until=now())


def test_asking_holds_no_worker(node: libvirt.virConnect, people: People, drain: Callable[[], None]) -> None:
    clone_actions.shut_down(people.user, [clone().id, clone("pc-2").id])
    drain()
    asked = operation()
    assert (asked.state, asked.worker) == (OperationState.WATCHED, "")
    assert asked.watched_until and asked.watched_until - now() > timedelta(seconds=100)
    assert clone().state == CloneState.STOPPING
    assert Sweep().run() == 0, "nobody's work is lost"
    assert not queued_jobs()


def test_each_is_off_when_it_is_seen_off(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id, clone("pc-2").id])
    drain()
    boot(node, "pc-2")
    look()
    assert (clone().state, clone("pc-2").state) == (CloneState.STOPPED, CloneState.STOPPING)
    assert (operation().state, operation().progress) == (OperationState.WATCHED, 50)
    assert str(operation().message) == "1 of 2 off."
    domains.force_off(node, clone("pc-2").uuid)
    look()
    assert clone("pc-2").state == CloneState.STOPPED
    assert (operation().state, operation().progress) == (OperationState.DONE, 100)
    assert shutdown_watch.due() == []


def test_the_button_is_pressed_again_while_a_guest_boots(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    boot(node, "pc-1")
    look()
    assert runs(node, clone()) > 0, "it is given some seconds"
    let_time_pass(shutdowns.PRESS_SECONDS)
    look()
    assert runs(node, clone()) == -1
    boot(node, "pc-1")
    look()
    assert runs(node, clone()) > 0, "it is given some seconds once more"
    domains.force_off(node, clone().uuid)
    look()
    assert operation().state == OperationState.DONE


def test_it_is_shut_down_and_started_in_one_operation(
    node: libvirt.virConnect, people: People, look: Callable[[], None]
) -> None:
    before = runs(node, clone())
    assert len(clone_actions.restart(people.user, [clone().id]).done) == 1
    asked = operation()
    assert (asked.kind, str(asked.title)) == ("clones_restart", "Restart pc-1 on n1")
    assert clone().state == CloneState.STOPPING
    look()
    assert clone().state == CloneState.RUNNING
    assert runs(node, clone()) > before
    assert operation_of(asked).state == OperationState.WATCHED, "it is over when its starts were seen to be"
    look()
    assert operation_of(asked).state == OperationState.DONE


def test_what_is_off_is_left(node: libvirt.virConnect, people: People) -> None:
    change(Clone, Clone.name == "pc-2", state=CloneState.STOPPED)
    outcome = clone_actions.restart(people.user, [clone().id, clone("pc-2").id])
    assert [row.name for row in outcome.done] == ["pc-1"] and not outcome.refused
    assert clone("pc-2").state == CloneState.STOPPED


def test_a_foreign_clone_does_not_exist(node: libvirt.virConnect, people: People) -> None:
    with pytest.raises(NotFound):
        clone_actions.restart(people.other, [clone().id])


def test_a_volatile_one_survives_a_restart(node: libvirt.virConnect, people: People, look: Callable[[], None]) -> None:
    change(Clone, volatile=True)
    clone_actions.restart(people.user, [clone().id])
    # What a check sees in the middle, when the guest is off, throws nothing away.
    off = NodeHealth({row.uuid: DomainState(row.name, "stopped") for row in [clone()]})
    record([Answer(clone().node_id, Observed.UP, health=off, round=1)])
    assert operation().kind == "clones_restart"
    look()
    assert clone().state == CloneState.RUNNING


def test_a_volatile_one_that_shut_down_is_deleted(
    node: libvirt.virConnect, people: People, drain: Callable[[], None]
) -> None:
    change(Clone, Clone.name == "pc-1", volatile=True)
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    shutdown_watch.watch([operation().id])
    assert (clone().state, operation().kind) == (CloneState.DELETING, "clones_delete")


@pytest.mark.parametrize("act", [clone_actions.shut_down, clone_actions.restart])
def test_a_guest_that_does_not_shut_down_stays_running_and_is_named(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None], act: Any
) -> None:
    act(people.user, [clone().id, clone("pc-2").id])
    drain()
    domains.start(node, clone().uuid)
    pass_deadline()
    asked = operation()
    look()
    failed = operation_of(asked)
    assert failed.state == OperationState.FAILED
    assert str(failed.error) == "pc-1 did not shut down within 2 min and is still running. Force it off if needed."
    assert (clone().state, clone().reason) == (CloneState.RUNNING, failed.error)
    restarted = act is clone_actions.restart
    assert clone("pc-2").state == (CloneState.RUNNING if restarted else CloneState.STOPPED)


def test_one_that_is_paused_again_is_paused(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    pause(node, "pc-1")
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    boot(node, "pc-1")
    node.lookupByUUIDString(clone().uuid).suspend()
    pass_deadline()
    look()
    assert clone().state == CloneState.PAUSED


def test_a_paused_one_is_shut_down(node: libvirt.virConnect, people: People, look: Callable[[], None]) -> None:
    pause(node, "pc-1")
    clone_actions.shut_down(people.user, [clone().id])
    look()
    assert (clone().state, operation().state) == (CloneState.STOPPED, OperationState.DONE)


def test_force_off_at_once_replaces_a_pending_shutdown(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.restart(people.user, [clone().id])
    drain()
    boot(node, "pc-1")
    replaced = operation()
    assert clone_actions.force_off(people.user, [clone().id]).done
    look()
    assert (clone().state, runs(node, clone())) == (CloneState.STOPPED, -1)
    assert operation().state == OperationState.DONE
    ended = operation_of(replaced)
    assert (ended.state, ended.error.kind) == (OperationState.CANCELLED, "clones.shutdown_replaced")


def test_force_off_of_one_leaves_the_others_to_be_watched(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id, clone("pc-2").id])
    drain()
    boot(node, "pc-1", "pc-2")
    asked = operation()
    clone_actions.force_off(people.user, [clone().id])
    look()
    assert (clone().state, clone("pc-2").state) == (CloneState.STOPPED, CloneState.STOPPING)
    domains.force_off(node, clone("pc-2").uuid)
    look()
    assert operation_of(asked).state == OperationState.DONE


@pytest.mark.parametrize("state", [CloneState.RUNNING, CloneState.PAUSED, CloneState.STOPPED])
def test_cancelled_it_is_what_it_is(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None], state: CloneState
) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    if state != CloneState.STOPPED:
        boot(node, "pc-1")
    if state == CloneState.PAUSED:
        node.lookupByUUIDString(clone().uuid).suspend()
    assert operation_requests.cancel(people.operator, [operation().id]) == 1
    look()
    assert (clone().state, operation().state) == (state, OperationState.CANCELLED)


def test_a_node_that_goes_away_is_waited_for(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    change(Node, observed=Observed.DOWN)
    look()
    assert (clone().state, operation().state) == (CloneState.STOPPING, OperationState.WATCHED)
    assert "n1 is not responding" in str(operation().message)
    change(Node, observed=Observed.UP)
    look()
    assert (clone().state, operation().state) == (CloneState.STOPPED, OperationState.DONE)


def test_at_the_deadline_a_node_that_is_away_leaves_it_unknown_until_a_check(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    change(Node, observed=Observed.DOWN)
    pass_deadline()
    look()
    assert (clone().state, operation().state) == (CloneState.UNREACHABLE, OperationState.FAILED)
    assert operation().error.kind == "clones.shutdown_unknown"
    seen = NodeHealth({clone().uuid: DomainState("pc-1", "stopped")})
    record([Answer(clone().node_id, Observed.UP, health=seen, round=1)])
    assert clone().state == CloneState.STOPPED


def test_what_went_off_while_nobody_looked_is_off_though_the_deadline_has_passed(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    let_time_pass(3600)
    look()
    assert (clone().state, operation().state) == (CloneState.STOPPED, OperationState.DONE)


def test_nobody_is_asked_again_once_the_time_is_over(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    boot(node, "pc-1")
    let_time_pass(3600)
    look()
    assert (clone().state, operation().state) == (CloneState.RUNNING, OperationState.FAILED)
    assert runs(node, clone()) > 0


def test_a_worker_that_died_while_it_asked_is_replaced(
    node: libvirt.virConnect, people: People, look: Callable[[], None]
) -> None:
    clone_actions.restart(people.user, [clone().id])
    domains.shut_down(node, clone().uuid)
    hand_back(operation().id, died=True)
    look()
    assert clone().state == CloneState.RUNNING
    assert runs(node, clone()) > 0


def test_the_sweep_takes_nothing_from_the_watch(
    node: libvirt.virConnect, people: People, drain: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    hand_back(operation().id, died=True)
    assert (operation().state, operation().attempt) == (OperationState.WATCHED, 1)


def test_an_odd_row_ends_its_own_operation_alone(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    odd = operation()
    drain()
    clone_actions.shut_down(people.user, [clone("pc-2").id])
    drain()
    change(Operation, Operation.id == odd.id, result={})
    look()
    assert operation_of(odd).error.kind == "operations.unexpected"
    assert (clone("pc-2").state, operation().state) == (CloneState.STOPPED, OperationState.DONE)


def test_one_job_looks_at_a_time(node: libvirt.virConnect, people: People, drain: Callable[[], None]) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    boot(node, "pc-1")
    assert shutdown_watch.due() == [[operation().id]]
    assert shutdown_watch.due() == [], "one is queued"
    shutdown_watch.watch([operation().id])
    assert shutdown_watch.due() == [[operation().id]], "the next one may follow"


def test_a_retry_interrupts_only_what_has_not_come_back(
    node: libvirt.virConnect, people: People, look: Callable[[], None]
) -> None:
    clone_actions.restart(people.user, [clone().id, clone("pc-2").id])
    restart = operation()
    node.lookupByUUIDString(clone("pc-2").uuid).destroy()
    node.lookupByUUIDString(clone("pc-2").uuid).undefine()
    look()
    look()
    first = runs(node, clone())
    assert (clone().state, clone("pc-2").state) == (CloneState.RUNNING, CloneState.STOPPED)
    assert operation_of(restart).state == OperationState.FAILED
    assert "pc-2" in str(operation_of(restart).error)
    domains.define_all(node, [XML.format(name="pc-2", uuid=clone("pc-2").uuid)])
    operation_requests.retry(people.operator, [restart.id])
    look()
    look()
    assert (clone().state, clone("pc-2").state) == (CloneState.RUNNING, CloneState.RUNNING)
    assert operation_of(restart).state == OperationState.DONE
    assert runs(node, clone()) == first


def test_a_retry_starts_only_what_is_off_and_no_more_than_its_node_is_promised_for(
    node: libvirt.virConnect, people: People, drain: Callable[[], None]
) -> None:
    for name in ("pc-1", "pc-2"):
        domains.force_off(node, clone(name).uuid)
    change(Clone, state=CloneState.STOPPED)
    node.lookupByUUIDString(clone("pc-2").uuid).undefine()
    clone_actions.start(people.user, [clone().id, clone("pc-2").id])
    start = operation()
    drain()
    first = runs(node, clone())
    assert (clone().state, clone("pc-2").state) == (CloneState.RUNNING, CloneState.STOPPED)
    domains.define_all(node, [XML.format(name="pc-2", uuid=clone("pc-2").uuid)])
    change(Node, cpus=1, cpu_overcommit=1.0)

    operation_requests.retry(people.operator, [start.id])
    assert (clone().state, clone("pc-2").state) == (CloneState.RUNNING, CloneState.STARTING)
    drain()
    assert (clone().state, clone("pc-2").state) == (CloneState.RUNNING, CloneState.STOPPED)
    assert runs(node, clone("pc-2")) == -1 and runs(node, clone()) == first
    failed = operation_of(start)
    assert failed.state == OperationState.FAILED and "reached its CPU overcommit" in str(failed.error)
    assert clone("pc-2").reason.kind == "clones.why_processors"

    change(Node, cpus=2)
    operation_requests.retry(people.operator, [start.id])
    drain()
    assert clone("pc-2").state == CloneState.RUNNING


def test_a_paused_one_is_restarted(node: libvirt.virConnect, people: People, look: Callable[[], None]) -> None:
    before = runs(node, clone())
    pause(node, "pc-1")
    clone_actions.restart(people.user, [clone().id])
    look()
    assert clone().state == CloneState.RUNNING
    assert runs(node, clone()) > before


@pytest.mark.parametrize("act", [clone_actions.start, clone_actions.shut_down, clone_actions.force_off])
def test_what_was_not_done_leaves_a_paused_one_paused(node: libvirt.virConnect, people: People, act: Any) -> None:
    pause(node, "pc-1")
    act(people.user, [clone().id])
    assert clone().state in IN_WORK
    operation_requests.cancel(people.operator, [operation().id])
    assert (clone().state, operation().state) == (CloneState.PAUSED, OperationState.CANCELLED)


def test_a_force_off_that_is_not_done_leaves_what_was_before_the_shutdown(
    node: libvirt.virConnect, people: People, drain: Callable[[], None]
) -> None:
    pause(node, "pc-1")
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    clone_actions.force_off(people.user, [clone().id])
    operation_requests.cancel(people.operator, [operation().id])
    assert clone().state == CloneState.PAUSED


def test_who_waits_for_one_of_many_that_restart_is_served_first(
    node: libvirt.virConnect, people: People, drain: Callable[[], None]
) -> None:
    clone_actions.restart(people.administrator, [clone().id, clone("pc-2").id])
    restart = operation()
    drain()
    launching.launch(people.user, clone("pc-2").id)
    shutdown_watch.watch([restart.id])
    starts = {name: db.session.get_one(Operation, clone(name).operation_id) for name in ("pc-1", "pc-2")}
    assert {name: start.awaited for name, start in starts.items()} == {"pc-1": False, "pc-2": True}
    drain()
    shutdown_watch.watch([restart.id])
    assert operation_of(restart).state == OperationState.DONE


def test_its_card_says_that_it_did_not_shut_down(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], look: Callable[[], None]
) -> None:
    clone_actions.shut_down(people.user, [clone().id])
    drain()
    boot(node, "pc-1")
    pass_deadline()
    look()
    assert "Force it off" in str(cards.card(people.user, clone()).notice)
    clone_actions.force_off(people.user, [clone().id])
    drain()
    assert not cards.card(people.user, clone()).notice
