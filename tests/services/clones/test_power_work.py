"""Restarting clones in one operation, on libvirt's own test driver: what stays on, is volatile, or is retried."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import libvirt
import pytest
from sqlalchemy import select, update

from ravada_web.errors import Conflict, NotFound
from ravada_web.extensions import db
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.models import Clone, CloneState, Node, Observed, Operation, OperationState, now
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import power_work
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_base, make_nodes

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><os><type>hvm</type></os></domain>"
)


@pytest.fixture
def node(people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[libvirt.virConnect]:
    """A node whose libvirt is the test driver, with two clones of the user that run there: pc-1 and pc-2."""
    (node_id,) = make_nodes(1)
    request_clones(people.administrator, Request(make_base([node_id]), 2, "pc", people.user.name))

    @contextmanager
    def connect(_node: Node) -> Iterator[libvirt.virConnect]:
        with open_connection("test:///default") as opened:
            yield opened

    monkeypatch.setattr(endpoints, "connect", connect)
    monkeypatch.setattr(power_work, "POLL_SECONDS", 0)
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


def runs(connection: libvirt.virConnect, row: Clone) -> int:
    """The number of the domain's present run, which every start makes a new one; -1 while it is off."""
    return int(connection.lookupByUUIDString(row.uuid).ID())


def test_it_is_shut_down_and_started_in_one_operation(
    node: libvirt.virConnect, people: People, drain: Callable[[], None]
) -> None:
    before = runs(node, clone())
    assert clone_actions.restart(people.user, [clone().id]) == 1
    assert clone().state == CloneState.STOPPING
    drain()
    assert clone().state == CloneState.RUNNING
    assert runs(node, clone()) > before
    done = operation()
    assert (done.kind, done.state, str(done.title)) == ("clones_restart", OperationState.DONE, "Restart pc-1 on n1")


def test_what_is_off_is_left(node: libvirt.virConnect, people: People) -> None:
    with transaction() as session:
        session.execute(update(Clone).where(Clone.name == "pc-2").values(state=CloneState.STOPPED))
    assert clone_actions.restart(people.user, [clone().id, clone("pc-2").id]) == 1
    assert clone("pc-2").state == CloneState.STOPPED


def test_a_foreign_clone_does_not_exist(node: libvirt.virConnect, people: People) -> None:
    with pytest.raises(NotFound):
        clone_actions.restart(people.other, [clone().id])


def test_a_volatile_one_survives_it(node: libvirt.virConnect, people: People, drain: Callable[[], None]) -> None:
    with transaction() as session:
        session.execute(update(Clone).values(volatile=True))
    clone_actions.restart(people.user, [clone().id])
    # What a check sees in the middle, when the guest is off, throws nothing away.
    off = NodeHealth({row.uuid: DomainState(row.name, "stopped") for row in [clone()]})
    record([Answer(clone().node_id, Observed.UP, health=off, asked_at=now().timestamp() + 1)])
    assert operation().kind == "clones_restart"
    drain()
    assert clone().state == CloneState.RUNNING


def test_a_guest_that_does_not_shut_down_stays_running_and_is_named(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power_work, "SHUT_DOWN_SECONDS", 0.0)
    clone_actions.restart(people.user, [clone().id])
    drain()
    failed = operation()
    assert failed.state == OperationState.FAILED
    assert (failed.error.kind, failed.error.figures["count"]) == ("clones.still_running", 1)
    assert clone().state == CloneState.RUNNING
    assert "did not shut down" in str(clone().reason)


def test_a_worker_that_died_after_the_guest_was_off_starts_it(
    node: libvirt.virConnect, people: People, drain: Callable[[], None]
) -> None:
    clone_actions.restart(people.user, [clone().id])
    domains.shut_down(node, clone().uuid)
    drain()
    assert clone().state == CloneState.RUNNING
    assert runs(node, clone()) > 0


def test_a_retry_interrupts_only_what_has_not_come_back(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [clone().id, clone("pc-2").id]
    clone_actions.restart(people.user, both)
    node.lookupByUUIDString(clone("pc-2").uuid).destroy()
    node.lookupByUUIDString(clone("pc-2").uuid).undefine()
    drain()
    first = runs(node, clone())
    assert (clone().state, clone("pc-2").state) == (CloneState.RUNNING, CloneState.STOPPED)
    assert "pc-2" in str(operation().error)
    domains.define_all(node, [XML.format(name="pc-2", uuid=clone("pc-2").uuid)])
    operation_requests.retry(people.operator, [operation().id])
    drain()
    assert (clone().state, clone("pc-2").state) == (CloneState.RUNNING, CloneState.RUNNING)
    assert runs(node, clone()) == first


def test_a_paused_one_is_not_restarted(node: libvirt.virConnect, people: People) -> None:
    with transaction() as session:
        session.execute(update(Clone).values(state=CloneState.PAUSED))
    with pytest.raises(Conflict):
        clone_actions.restart(people.user, [clone().id])
