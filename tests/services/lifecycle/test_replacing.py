"""Another host in a node's place: what stood there is settled as gone, once, whatever interrupts it; what the node is
set to stays. On SQLite and PostgreSQL."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.hypervisor.health import NodeHealth
from ravada_web.models import (
    AllowedNode,
    Base,
    Cause,
    Clone,
    CloneState,
    Event,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    Replica,
    ReplicaState,
    Role,
    ServiceState,
    Trust,
    User,
)
from ravada_web.services.clones import remake_work
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.desktops import listing as desktop_list
from ravada_web.services.joining import inspection, verification
from ravada_web.services.joining.checks import host
from ravada_web.services.lifecycle import giving_up, giving_up_work, replacing, replacing_work
from ravada_web.services.lifecycle.replacing import Asked
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import part
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import execution
from ravada_web.services.operations.execution import Handle, Superseded
from tests.services.joining.test_checks import sharing
from tests.support.factories import change, make_base, make_nodes, make_user
from tests.support.races import while_under_way

OLD, NEW = "ssh-ed25519 AAAA", "ssh-ed25519 BBBB"
FORMER, FRESH = "a" * 32, "c" * 32
one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
both = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
SAID = {"kind": "joining.host_anew", "figures": {"node": "n2"}}


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    return make_user("chief", Role.ADMINISTRATOR)


@pytest.fixture
def owner(migrated_app: Flask) -> User:
    return make_user("alice")


@pytest.fixture
def node_id(chief: User, owner: User) -> int:
    """A quarantined node where a host installed anew answers; three persistent desktops of alice's and two volatile
    ones stood there, and the base's original. Another node is up."""
    (master, dead) = make_nodes(2)
    base = make_base([dead, master])
    request_clones(chief, Request(base, 6, "pc", owner.name))
    request_clones(chief, Request(base, 4, "tmp", owner.name, volatile=True))
    change(Operation, state=OperationState.DONE)
    change(Clone, state=CloneState.STOPPED)
    change(Clone, Clone.node_id == dead, state=CloneState.UNREACHABLE, state_before=CloneState.RUNNING)
    newcomer = {"who": "anew", "machine_id": FRESH, "text": SAID}
    values = {"trust": Trust.CHANGED, "machine_id": FORMER, "new_host_key": NEW, "newcomer": newcomer}
    settings = {"labels": ["room-7"], "memory_reserve_mib": 300, "display_address": "192.0.2.9", "clone_limit": 40}
    change(Node, Node.id == dead, observed=Observed.DOWN, **values, **settings)
    return dead


def node(node_id: int) -> Node:
    db.session.rollback()
    return db.session.get_one(Node, node_id, populate_existing=True)


def asked(row: Node, **changed: object) -> Asked:
    fingerprint = endpoints.fingerprint(row.new_host_key)
    return replace(Asked("wait", True, row.name, fingerprint), **changed)  # type: ignore[arg-type]


def take_place(chief: User, node_id: int, **changed: object) -> Operation:
    row = node(node_id)
    return replacing.replace(chief, row, asked(row, **changed))


class Reached(Exception):
    """The work has come to the host itself, which is not there in these tests."""


def settle(operation: Operation, patch: pytest.MonkeyPatch) -> None:
    """Do all of the work but what needs the host."""

    def stop(_handle: Handle) -> None:
        raise Reached

    with patch.context() as context:
        context.setattr(inspection, "inspect", stop)
        with pytest.raises(Reached):
            execution.run(operation.id, operation.attempt, replacing_work.replace)
    db.session.rollback()


def there(node_id: int) -> set[str]:
    db.session.rollback()
    return {name.split("-")[0] for name in db.session.scalars(select(Clone.name).where(Clone.node_id == node_id))}


def remake() -> Operation:
    """Do what makes the lost ones again."""
    row = db.session.scalars(select(Operation).where(Operation.kind == "clones_remake")).one()
    execution.run(row.id, row.attempt, remake_work.remake)
    db.session.rollback()
    return db.session.get_one(Operation, row.id, populate_existing=True)


def test_what_is_set_stays_and_the_former_host_is_remembered(chief: User, node_id: int) -> None:
    operation = take_place(chief, node_id)
    row = node(node_id)
    assert (row.name, row.labels, row.memory_reserve_mib) == ("n2", ["room-7"], 300)
    assert (row.display_address, row.clone_limit) == ("192.0.2.9", 40)
    assert (row.host_key, row.trust, row.new_host_key, row.newcomer) == (NEW, Trust.PINNED, "", {})
    assert (row.service_state, row.serves_as, row.proved_at) == (ServiceState.NEW, ServiceState.ENABLED, None)
    assert row.former_hosts == [{"host_key": OLD, "machine_id": FORMER}] and row.machine_id == ""
    assert db.session.scalars(select(AllowedNode).where(AllowedNode.node_id == node_id)).one()
    (copy,) = db.session.scalars(select(Replica).where(Replica.node_id == node_id))
    assert (copy.state, copy.directory, copy.stamps) == (ReplicaState.FAILED, "", {}) and copy.retry_at
    assert db.session.scalars(select(Base)).one().node_id != node_id, "the original is where a whole copy is"
    told = db.session.scalars(select(Event).where(Event.action == "replace", Event.object_id == node_id)).one()
    assert (told.actor, told.text.figures["old_id"], told.text.figures["new_id"]) == ("chief", FORMER, FRESH)
    assert operation.params["host_key"] == NEW
    assert node_id not in {one for lot in part() for one in lot}, "nothing is sent there before it is checked"
    assert node_id not in {where.node_id for where in endpoints.targets_to_link().targets}
    assert [peer.is_former for peer in inspection._peers(0) if peer.host_key == OLD and peer.name == "n2"] == [True]


def test_a_former_host_that_is_added_anew_is_known() -> None:
    seen = sharing(OLD, "uuid-9", FORMER)
    former = replace(seen.peers[0], host_key=seen.host_key, machine_id=seen.survey.machine_id, is_former=True)
    found = host.twice(replace(seen, peers=(former,)))
    assert (found.state, found.text.kind) == ("fail", "joining.is_former")
    like_it = replace(former, host_key="ssh-ed25519 ZZZZ")
    assert host.twice(replace(seen, peers=(like_it,))).state == "pass", "an image that it was installed from, too"


def test_lost_desktops_are_given_up_and_volatile_ones_made_again(
    chief: User, owner: User, node_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(take_place(chief, node_id), monkeypatch)
    assert there(node_id) == {"tmp"}
    (*gone,) = db.session.scalars(select(Remains))
    assert {(row.cause, row.name.split("-")[0]) for row in gone} == {(Cause.LOST, "pc")} and len(gone) == 3
    told = db.session.scalars(select(Event.object_name).where(Event.action == "given_up")).all()
    assert sorted(told) == sorted(row.name for row in gone)
    said = desktop_list.front_page(owner).given_up
    assert {text.kind for text in said} == {"desktops.lost"} and len(said) == 3
    desktop_list.dismiss_given_up(owner)
    assert not db.session.scalars(select(Remains)).all()
    before = set(db.session.scalars(select(Clone.uuid).where(Clone.node_id == node_id)))
    assert remake().result["placed"] == 2
    assert there(node_id) == set() and not db.session.scalars(select(Remains)).all()
    assert before.isdisjoint(db.session.scalars(select(Clone.uuid)))
    assert not any(db.session.scalars(select(Clone.lost)))


@one
def test_who_finds_no_room_is_not_forgotten_when_the_new_host_is_up_and_may_come_there(
    chief: User, node_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(Node, Node.id != node_id, clone_limit=0)
    settle(take_place(chief, node_id), monkeypatch)
    waits = remake()
    assert (waits.state, waits.result["waiting"]) == (OperationState.WATCHED, 2)
    change(Node, Node.id == node_id, service_state=ServiceState.ENABLED, serves_as="", memory_free_mib=16384)
    change(Node, Node.id == node_id, memory_total_mib=16384)
    record([Answer(node_id, Observed.UP, health=NodeHealth({}), round=1)])
    lost = db.session.scalars(select(Clone).where(Clone.lost)).all()
    assert {clone.state for clone in lost} == {CloneState.UNREACHABLE} and len(lost) == 2
    change(Replica, Replica.node_id == node_id, state=ReplicaState.READY, directory="/var/lib/libvirt/images")
    for pool in node(node_id).pools:
        change(type(pool), type(pool).id == pool.id, active=True, free_mib=100_000, total_mib=100_000)
    remake_work.watch([waits.id])
    db.session.rollback()
    made = db.session.scalars(select(Clone).where(Clone.volatile, Clone.node_id == node_id)).all()
    assert {(clone.lost, clone.state) for clone in made} == {(False, CloneState.REQUESTED)} and len(made) == 2


@one
@pytest.mark.parametrize(
    ("volatile", "remakes", "stay"), [("wait", True, {"tmp"}), ("give_up", True, set()), ("wait", False, set())]
)
def test_volatile_ones_as_chosen_and_as_their_base_allows(
    chief: User, node_id: int, monkeypatch: pytest.MonkeyPatch, volatile: str, remakes: bool, stay: set[str]
) -> None:
    change(Base, remakes=remakes)
    settle(take_place(chief, node_id, volatile=volatile), monkeypatch)
    assert there(node_id) == stay
    assert bool(db.session.scalars(select(Operation).where(Operation.kind == "clones_remake")).all()) == bool(stay)


@one
def test_nobody_does_it_by_a_slip(chief: User, node_id: int) -> None:
    with pytest.raises(InvalidInput) as wrong:
        take_place(chief, node_id, volatile="shred", lost=False, typed="n9", fingerprint="SHA256:other")
    assert set(wrong.value.fields) == {"volatile", "lost", "typed", "fingerprint"}
    assert node(node_id).trust == Trust.CHANGED and there(node_id) == {"pc", "tmp"}
    for who in ("other", "former", ""):
        change(Node, Node.id == node_id, newcomer={"who": who, "machine_id": FRESH} if who else {})
        with pytest.raises(Conflict):
            take_place(chief, node_id)


@both
def test_of_two_administrators_one_wins_and_the_other_is_told(chief: User, node_id: int) -> None:
    row = node(node_id)
    wanted = asked(row)
    with while_under_way(lambda: replacing.replace(chief, db.session.get_one(Node, node_id), wanted)) as other:
        replacing.replace(chief, row, wanted)
    with pytest.raises(Conflict) as second:
        other()
    assert second.value.message.kind == "joining.nothing_to_decide"
    db.session.rollback()
    assert len(db.session.scalars(select(Operation).where(Operation.kind == "node_replace")).all()) == 1
    assert len(node(node_id).former_hosts) == 1


def test_interrupted_it_goes_on_and_run_twice_it_does_nothing_more(
    chief: User, node_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing_work.settings(), "clone_batch", 1)
    operation = take_place(chief, node_id)
    steps = iter(range(1))

    def check(_handle: Handle) -> None:
        if next(steps, None) is None:
            raise Superseded

    with monkeypatch.context() as patch:
        patch.setattr(Handle, "check", check)
        execution.run(operation.id, operation.attempt, replacing_work.replace)
    db.session.rollback()
    assert 0 < len(db.session.scalars(select(Remains)).all()) < 3
    # What a check of the new host sees meanwhile says nothing of what stood on the former one.
    change(Node, Node.id == node_id, access="root")
    record([Answer(node_id, Observed.UP, health=NodeHealth({}), round=1)])
    assert set(db.session.scalars(select(Clone.state).where(Clone.node_id == node_id))) == {CloneState.UNREACHABLE}
    for _time in range(2):
        change(Operation, Operation.id == operation.id, state=OperationState.WAITING)
        settle(db.session.get_one(Operation, operation.id, populate_existing=True), monkeypatch)
    told = db.session.scalars(select(Event.object_name).where(Event.action == "given_up")).all()
    assert len(told) == len(set(told)) == 3 and there(node_id) == {"tmp"}
    assert len(db.session.scalars(select(Operation).where(Operation.kind == "clones_remake")).all()) == 1


@one
@pytest.mark.parametrize(
    ("before", "after"),
    [("enabled", "enabled"), ("disabled", "disabled"), ("maintenance", "maintenance"), ("given_up", "enabled")],
)
def test_it_serves_as_before_once_its_test_has_passed(chief: User, node_id: int, before: str, after: str) -> None:
    change(Node, Node.id == node_id, service_state=before)
    operation = take_place(chief, node_id)
    change(Operation, Operation.id == operation.id, state=OperationState.RUNNING)
    verification._passed(Handle(operation.id, operation.attempt, operation.kind, node_id, None, None, False, {}))
    assert (node(node_id).service_state, node(node_id).serves_as) == (after, "")


@one
def test_the_place_of_one_that_was_given_up_can_be_taken_and_what_it_left_is_dropped(
    chief: User, owner: User, node_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = node(node_id)
    given = giving_up.give_up(chief, row, row.name, volatile="wait", persistent="give_up")
    execution.run(given.id, given.attempt, giving_up_work.give_up)
    db.session.rollback()
    assert {one.cause for one in db.session.scalars(select(Remains))} == {Cause.GIVEN_UP}
    settle(take_place(chief, node_id), monkeypatch)
    assert {one.cause for one in db.session.scalars(select(Remains))} == {Cause.LOST}
    assert len(desktop_list.front_page(owner).given_up) == 3 and not node(node_id).is_given_up
