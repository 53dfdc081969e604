"""What one person waits for goes before what was asked for in bulk, which goes in waves and gives way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event, Thread

import libvirt
import pytest
from flask import Flask
from sqlalchemy import select

import jobs.clones
from jobs.parent import WORKERS
from ravada_web.extensions import db
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.messages import text
from ravada_web.models import Clone, CloneState, Node, Operation, OperationState, User
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import creation_work, waves
from ravada_web.services.clones.requests import STARTS, Request, request_clones
from ravada_web.services.consoles import tickets
from ravada_web.services.desktops import launching
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Cancelled, Handle
from ravada_web.services.operations.requests import AWAITED_AT_ONCE, retry
from ravada_web.services.sign_in import sessions
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes, make_offer, make_operation
from tests.support.servers import wait_until

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><os><type>hvm</type></os></domain>"
)


def make_clones(people: People, count: int, nodes: int = 1, **values: object) -> list[int]:
    """Clones of the user, off, pc-1 and so on; their creation is over."""
    request_clones(people.administrator, Request(make_base(make_nodes(nodes)), count, "pc", people.user.name))
    change(Clone, state=CloneState.STOPPED, **values)
    change(Operation, state=OperationState.DONE)
    for name in ("interactive", "batches"):
        outbox.queue(name).empty()
    return list(db.session.scalars(select(Clone.id).order_by(Clone.id)))


def waiting(kind: str = "clones_start") -> list[Operation]:
    db.session.rollback()
    query = select(Operation).where(Operation.kind == kind, Operation.state == OperationState.WAITING)
    return list(db.session.scalars(query.order_by(Operation.id)))


def queues_of(rows: list[Operation]) -> set[str]:
    """The queues where their jobs are, or are let through to."""
    jobs = {name: outbox.queue(name).get_job_ids() for name in ("interactive", "default", "batches", "bulk")}
    return {name for name, ids in jobs.items() for row in rows if row.job_id in ids}


def test_one_clone_is_what_a_person_waits_for_and_more_are_bulk(people: People) -> None:
    ids = make_clones(people, 12, 3)
    clone_actions.start(people.administrator, ids[1:])
    bulk = waiting()
    assert queues_of(bulk) == {"batches"}
    launching.launch(people.user, ids[0])
    (mine,) = [row for row in waiting() if row not in bulk]
    assert queues_of([mine]) == {"interactive"}
    assert mine.awaited and not any(row.awaited for row in bulk)


def test_one_clone_a_node_is_bulk_all_the_same(people: People) -> None:
    clone_actions.start(people.administrator, make_clones(people, 3, 3))
    assert [(row.awaited, row.items) for row in waiting()] == [(False, 1)] * 3


@pytest.mark.parametrize(("act", "kind"), [
    (clone_actions.shut_down, "clones_stop"),
    (clone_actions.force_off, "clones_stop"),
    (clone_actions.restart, "clones_restart"),
    (clone_actions.delete, "clones_delete"),
])  # fmt: skip
def test_it_is_so_for_all_that_is_done_to_clones(people: People, act: Callable[..., int], kind: str) -> None:
    ids = make_clones(people, 4)
    change(Clone, state=CloneState.RUNNING)
    act(people.administrator, ids[1:])
    assert queues_of(waiting(kind)) == {"batches"}
    act(people.administrator, ids[:1])
    assert queues_of(waiting(kind)) == {"batches", "interactive"}


def test_a_new_desktop_of_an_offer_does_not_wait_behind_a_thousand(people: People) -> None:
    base_id = make_base(make_nodes(1))
    make_offer(base_id, people.user)
    request_clones(people.administrator, Request(base_id, 30, "many", people.other.name, start_after=True))
    many = waiting("clones_create")
    launching.launch_new(people.user, base_id)
    (mine,) = [row for row in waiting("clones_create") if row not in many]
    assert queues_of([mine]) == {"interactive"} and queues_of(many) == {"batches"}


@pytest.mark.parametrize(
    ("cpus", "sizes"), [(2, [2, 2, 2, 2, 1]), (4, [4, 4, 1]), (64, [8, 1]), (None, [2, 2, 2, 2, 1])]
)
def test_a_wave_is_as_large_as_its_node_bears(people: People, cpus: int | None, sizes: list[int]) -> None:
    ids = make_clones(people, 9)
    change(Node, cpus=cpus)
    clone_actions.start(people.administrator, ids)
    assert [row.items for row in waiting()] == sizes
    assert len(outbox.queue("batches").get_job_ids()) == 1, "one wave of a node at a time"


def test_a_node_never_takes_all_workers_from_what_people_wait_for_elsewhere(people: People) -> None:
    ids = make_clones(people, 12, 2)
    places = dict(db.session.execute(select(Clone.id, Clone.node_id)).all())
    hung = places[ids[0]]
    for clone_id in (one for one in ids if places[one] == hung):
        launching.launch(people.user, clone_id)
    assert len(queue_ids := outbox.queue("interactive").get_job_ids()) == AWAITED_AT_ONCE < WORKERS["interactive"]
    launching.launch(people.user, next(one for one in ids if places[one] != hung))
    assert len(outbox.queue("interactive").get_job_ids()) == len(queue_ids) + 1


@pytest.fixture
def node(people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[libvirt.virConnect]:
    """A node whose libvirt is the test driver, with four clones of the user that are off there."""
    make_clones(people, 4)

    @contextmanager
    def connect(_node: Node) -> Iterator[libvirt.virConnect]:
        with open_connection("test:///default") as opened:
            yield opened

    monkeypatch.setattr(endpoints, "connect", connect)
    with open_connection("test:///default") as connection:
        rows = db.session.execute(select(Clone.name, Clone.uuid)).all()
        domains.define_all(connection, [XML.format(name=name, uuid=uuid) for name, uuid in rows])
        yield connection
        for _name, uuid in rows:
            domains.force_off(connection, uuid)
            connection.lookupByUUIDString(uuid).undefine()


def states() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Clone.state).order_by(Clone.id)))


def test_a_wave_lets_pass_what_a_person_waits_for_on_its_node(
    node: libvirt.virConnect, app: Flask, people: People, drain: Callable[[], None]
) -> None:
    ids = list(db.session.scalars(select(Clone.id).order_by(Clone.id)))
    change(Node, cpus=8)
    clone_actions.start(people.administrator, ids[1:])
    launching.launch(people.user, ids[0])
    (wave,) = [row for row in waiting() if not row.awaited]
    ids_of_wave = wave.id, wave.attempt

    def work() -> None:
        with app.app_context():
            jobs.clones.start(*ids_of_wave)

    bulk = Thread(target=work)
    bulk.start()
    wait_until(lambda: OperationState.RUNNING in operation_states(), 5, "the wave is claimed")
    assert states() == [CloneState.STARTING] * 4
    drain()
    assert states()[0] == CloneState.RUNNING
    bulk.join(10)
    assert states() == [CloneState.RUNNING] * 4


def held(name: str = "pc-1") -> Operation:
    """The operation that the clone waits for."""
    db.session.rollback()
    return db.session.scalars(
        select(Operation).join(Clone, Clone.operation_id == Operation.id).where(Clone.name == name)
    ).one()


def test_a_desktop_that_a_bulk_start_holds_is_started_now_when_its_user_launches_it(
    node: libvirt.virConnect, people: People, drain: Callable[[], None]
) -> None:
    ids = list(db.session.scalars(select(Clone.id).order_by(Clone.id)))
    change(Node, cpus=2)
    clone_actions.start(people.administrator, ids)
    last, bulk = ids[-1], held("pc-4")
    assert bulk.job_id not in outbox.queue("batches").get_job_ids(), "its wave is not the first"
    launching.launch(people.user, last)
    mine = held("pc-4")
    assert mine.awaited and queues_of([mine]) == {"interactive"}
    launching.launch(people.user, last)
    assert held("pc-4").id == mine.id, "a second click changes nothing"
    drain()
    assert states() == [CloneState.RUNNING] * 4
    assert operation_states() == {OperationState.DONE}


def test_so_is_one_whose_screen_its_user_opens_and_not_one_that_somebody_looks_on(people: People) -> None:
    ids = make_clones(people, 4)
    clone_actions.start(people.administrator, ids)
    tickets.issue(people.operator, browser(people.operator), ids[2])
    assert not held("pc-3").awaited
    tickets.issue(people.user, browser(people.user), ids[3])
    assert held("pc-4").awaited


def browser(user: User) -> int:
    """A session of theirs."""
    db.session.rollback()
    found = sessions.find(sessions.begin(user, "", ""))
    assert found is not None
    return found.id


def test_a_running_wave_skips_a_desktop_that_was_launched_meanwhile(
    node: libvirt.virConnect, app: Flask, people: People, drain: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, user_id = list(db.session.scalars(select(Clone.id).order_by(Clone.id))), people.user.id
    monkeypatch.setattr(waves, "MOST_SIDE_BY_SIDE", 1)  # what has begun is not skipped
    clone_actions.start(people.administrator, ids)
    started: list[str] = []
    begin = domains.start

    def start(connection: libvirt.virConnect, uuid: str) -> None:
        if not started:
            with app.app_context():
                launching.launch(db.session.get_one(User, user_id), ids[3])
        started.append(uuid)
        begin(connection, uuid)

    monkeypatch.setattr(domains, "start", start)
    monkeypatch.setattr(waves, "GIVE_WAY_SECONDS", 0.2)
    drain()
    assert states() == [CloneState.RUNNING] * 4
    assert len(started) == len(set(started)) == 4


def test_a_desktop_that_is_still_to_be_made_in_bulk_is_made_now(people: People) -> None:
    wanted = Request(make_base(make_nodes(1)), 30, "pc", people.user.name, start_after=True)
    request_clones(people.administrator, wanted)
    bulk = held("pc-30")
    launching.launch(people.user, db.session.scalars(select(Clone.id).where(Clone.name == "pc-30")).one())
    mine = held("pc-30")
    assert (mine.kind, mine.awaited, mine.node_id, mine.base_id) == ("clones_create", True, bulk.node_id, bulk.base_id)
    assert queues_of([mine]) == {"interactive"}
    assert held("pc-29").id == bulk.id


def test_a_desktop_that_is_being_made_in_bulk_is_started_first_of_all(people: People) -> None:
    wanted = Request(make_base(make_nodes(1)), 3, "pc", people.user.name, start_after=True)
    request_clones(people.administrator, wanted)
    bulk = held()
    change(Clone, state=CloneState.CREATING)
    change(Operation, state=OperationState.RUNNING)
    mine = db.session.scalars(select(Clone.id).where(Clone.name == "pc-2")).one()
    launching.launch(people.user, mine)
    assert held("pc-2").id == bulk.id, "its creation goes on"
    change(Clone, state=CloneState.STOPPED)
    creation_work.start_made(Handle(bulk.id, 1, bulk.kind, bulk.node_id, None, people.administrator.id, False, {}))
    assert [held(name).awaited for name in ("pc-1", "pc-2", "pc-3")] == [False, True, False]
    assert held("pc-1").id == held("pc-3").id != bulk.id


@pytest.mark.parametrize(("where", "kind", "seconds"), [
    ("here", "clones_start", waves.GIVE_WAY_SECONDS),
    ("here", "viewer_offer", waves.GIVE_WAY_SECONDS),
    ("elsewhere", "clones_start", waves.ELSEWHERE_SECONDS),
    ("elsewhere", "clones_create", waves.ELSEWHERE_SECONDS),
    ("elsewhere", "node_prove", 0.0),
])  # fmt: skip
def test_a_wave_is_patient_with_launches_elsewhere_too_but_less(
    app: Flask, where: str, kind: str, seconds: float
) -> None:
    here, elsewhere = make_nodes(2)
    assert waves._patience(here) == 0.0
    row = make_operation(kind, awaited=True, node_id=here if where == "here" else elsewhere)
    assert waves._patience(here) == seconds
    change(Operation, Operation.id == row.id, awaited=False)
    assert waves._patience(here) == 0.0
    change(Operation, Operation.id == row.id, awaited=True, state=OperationState.DONE)
    assert waves._patience(here) == 0.0


def operation_states() -> set[str]:
    db.session.rollback()
    return set(db.session.scalars(select(Operation.state)))


def test_a_wave_gets_on_with_it_where_people_keep_coming(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waves, "GIVE_WAY_SECONDS", 0.2)
    ids = list(db.session.scalars(select(Clone.id).order_by(Clone.id)))
    clone_actions.start(people.administrator, ids[1:])
    launching.launch(people.user, ids[0])
    outbox.queue("interactive").empty()
    drain()
    assert states() == [CloneState.STARTING, *[CloneState.RUNNING] * 3]


@dataclass
class Crowd:
    """Counts the starts that go on at a time; each waits until so many do, or a moment has passed."""

    wanted: int
    inside: int = 0
    most: int = 0
    changed: Condition = field(default_factory=Condition)

    def pass_through(self) -> None:
        with self.changed:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.wanted, 30)
            self.inside -= 1


@pytest.mark.parametrize(("cpus", "at_once"), [(None, 1), (1, 1), (2, 2), (64, 4)])
def test_a_wave_starts_as_many_side_by_side_as_its_node_bears(
    node: libvirt.virConnect,
    people: People,
    drain: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    cpus: int | None,
    at_once: int,
) -> None:
    begin, crowd = domains.start, Crowd(at_once)

    def start(connection: libvirt.virConnect, uuid: str) -> None:
        crowd.pass_through()
        begin(connection, uuid)

    monkeypatch.setattr(domains, "start", start)
    change(Node, cpus=cpus)
    clone_actions.start(people.administrator, list(db.session.scalars(select(Clone.id))))
    drain()
    assert states() == [CloneState.RUNNING] * 4
    assert crowd.most == at_once


def test_what_has_begun_when_a_wave_is_cancelled_is_written(
    node: libvirt.virConnect, people: People, drain: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, cancelled = domains.start, Event()

    def start(connection: libvirt.virConnect, uuid: str) -> None:
        assert cancelled.wait(30)
        begin(connection, uuid)

    check = Handle.check

    def cancel_at_the_second(handle: Handle) -> None:
        if states() == [CloneState.STARTING] * 4 and checks:
            cancelled.set()
            raise Cancelled
        checks.append(handle.operation_id)
        check(handle)

    checks: list[int] = []
    monkeypatch.setattr(domains, "start", start)
    monkeypatch.setattr(Handle, "check", cancel_at_the_second)
    change(Node, cpus=4)
    clone_actions.start(people.administrator, list(db.session.scalars(select(Clone.id).order_by(Clone.id))))
    drain()
    assert sorted(states()) == [CloneState.RUNNING, *[CloneState.STOPPED] * 3]


def lost_again(**values: object) -> Operation:
    """A creation that starts by itself what is to run has made all four clones."""
    row = make_operation("clones_create", node_id=db.session.scalars(select(Node.id)).one(), params={STARTS: True})
    change(Clone, operation_id=row.id, **values)
    return row


def test_what_was_lost_is_started_by_the_operation_that_makes_it_again_and_by_its_next_attempt(
    node: libvirt.virConnect, app: Flask
) -> None:
    row = lost_again(start_after=True)
    before = set(db.session.scalars(select(Operation.id)))
    handle = Handle(row.id, row.attempt, row.kind, row.node_id, None, None, False, row.params)
    change(Operation, Operation.id == row.id, state=OperationState.RUNNING)
    creation_work.start_made(handle)
    assert states() == [CloneState.STARTING] * 4
    change(Operation, Operation.id == row.id, state=OperationState.WAITING)
    jobs.clones.create(row.id, row.attempt)
    assert states() == [CloneState.RUNNING] * 4
    assert db.session.get_one(Operation, row.id).state == OperationState.DONE
    assert set(db.session.scalars(select(Operation.id))) == before, "no wave of starts came after it"


def test_what_it_could_not_start_is_started_by_a_retry(
    node: libvirt.virConnect, people: People, monkeypatch: pytest.MonkeyPatch, drain: Callable[[], None]
) -> None:
    row = lost_again(start_after=True)
    begin, (first, *_others) = domains.start, db.session.scalars(select(Clone.uuid).order_by(Clone.id)).all()

    def start(connection: libvirt.virConnect, uuid: str) -> None:
        if uuid == first:
            raise HypervisorError(text("no"))
        begin(connection, uuid)

    monkeypatch.setattr(domains, "start", start)
    jobs.clones.create(row.id, row.attempt)
    assert states() == [CloneState.STOPPED, *[CloneState.RUNNING] * 3]
    assert db.session.get_one(Operation, row.id).state == OperationState.FAILED
    monkeypatch.setattr(domains, "start", begin)
    retry(people.administrator, [row.id])
    drain()
    assert states() == [CloneState.RUNNING] * 4
