"""A node that will not come back: what was chosen for its desktops is done, once, whatever interrupts it; and it may
come back all the same. On SQLite and PostgreSQL."""

import threading
from collections.abc import Callable, Sequence

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.errors import Conflict, InvalidInput, NotFound, RavadaError
from ravada_web.extensions import db
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.models import (
    Base,
    Cause,
    Clone,
    CloneNic,
    CloneState,
    Event,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    Replica,
    Role,
    ServiceState,
    User,
)
from ravada_web.placement.starting import unserved
from ravada_web.services.clones import actions
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.lifecycle import giving_up, giving_up_work, orphans, removal, service_state
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import part
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import execution
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.execution import Handle, Superseded
from ravada_web.services.placements.loads import starting_states
from tests.support.factories import change, make_base, make_nodes, make_user

# What is not about rows that two may want at once is shown on one database.
one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    return make_user("chief", Role.ADMINISTRATOR)


@pytest.fixture
def owner(migrated_app: Flask) -> User:
    return make_user("alice")


@pytest.fixture
def node_id(chief: User, owner: User) -> int:
    """A node that is down, with three persistent desktops of alice's and two volatile ones; another one is up."""
    (master, dead) = make_nodes(2)
    base = make_base([dead, master])
    request_clones(chief, Request(base, 6, "pc", owner.name))
    request_clones(chief, Request(base, 4, "tmp", owner.name, volatile=True))
    change(Operation, state=OperationState.DONE)
    change(Clone, state=CloneState.STOPPED)
    change(Clone, Clone.node_id == dead, state=CloneState.UNREACHABLE)
    change(Node, Node.id == dead, observed=Observed.DOWN)
    return dead


def node(node_id: int) -> Node:
    db.session.rollback()
    return db.session.get_one(Node, node_id)


def there(node_id: int) -> set[str]:
    db.session.rollback()
    return {name.split("-")[0] for name in db.session.scalars(select(Clone.name).where(Clone.node_id == node_id))}


def left() -> list[Remains]:
    db.session.rollback()
    return list(db.session.scalars(select(Remains).order_by(Remains.name)))


def give_up(chief: User, node_id: int, volatile: str = "give_up", persistent: str = "give_up") -> Operation:
    row = node(node_id)
    return giving_up.give_up(chief, row, row.name, volatile=volatile, persistent=persistent)


def work(operation: Operation) -> None:
    execution.run(operation.id, operation.attempt, giving_up_work.give_up)
    db.session.rollback()
    assert db.session.get_one(Operation, operation.id).state == OperationState.DONE


@one
def test_it_says_first_all_that_stands_there(chief: User, node_id: int) -> None:
    seen = giving_up.standing(chief, node(node_id))
    assert {row.name.split("-")[0] for row in seen.volatile} == {"tmp"}
    assert {(row.name.split("-")[0], row.owner.name) for row in seen.persistent} == {("pc", "alice")}
    assert [row.replica.node_id for row in seen.replicas] == [node_id] and [row.name for row in seen.originals] == [
        "linux"
    ]


@one
@pytest.mark.parametrize(
    ("volatile", "persistent", "stay"),
    [
        ("give_up", "give_up", set()),
        ("wait", "give_up", {"tmp"}),
        ("give_up", "wait", {"pc"}),
        ("wait", "wait", {"pc", "tmp"}),
    ],
)
def test_each_kind_is_done_with_as_chosen(
    chief: User, node_id: int, volatile: str, persistent: str, stay: set[str]
) -> None:
    before = there(node_id)
    work(give_up(chief, node_id, volatile, persistent))
    assert there(node_id) == stay and {row.name.split("-")[0] for row in left()} == before - stay
    assert {row.cause for row in left()} <= {Cause.GIVEN_UP}
    told = db.session.scalars(select(Event.object_name).where(Event.action == "given_up")).all()
    assert sorted(told) == [row.name for row in left()], "each has its line"
    copies = db.session.scalars(select(Replica).where(Replica.node_id == node_id)).all()
    assert bool(copies) == bool(stay), "the copy stays under desktops that wait"
    assert db.session.scalars(select(Base)).one().node_id != node_id, "the original is where a whole copy is"
    assert node(node_id).host_key and node(node_id).is_given_up


def test_the_second_administrator_is_told_and_nobody_does_it_by_a_slip(chief: User, node_id: int) -> None:
    with pytest.raises(InvalidInput) as wrong:
        giving_up.give_up(chief, node(node_id), "n9", volatile="wait", persistent="shred")
    assert set(wrong.value.fields) == {"typed", "persistent"}
    give_up(chief, node_id)
    with pytest.raises(Conflict) as second:
        give_up(chief, node_id)
    assert second.value.message.kind == "nodes.given_up_already"
    for act in (lambda: service_state.set_service_state(chief, node(node_id), "enabled", unverified=True),):
        with pytest.raises(Conflict):
            act()


Did = str | BaseException


def at_once(app: Flask, *acts: Callable[[User], object]) -> list[Did]:
    """What came of each of these, done by administrators at the same moment: "done", or what was raised."""
    begin, came = threading.Barrier(len(acts)), dict[int, Did]()
    chief_id = db.session.scalars(select(User.id).where(User.name == "chief")).one()
    db.session.rollback()

    def do(number: int) -> None:
        with app.app_context():
            try:
                actor = db.session.get_one(User, chief_id)
                begin.wait(30)
                acts[number](actor)
                came[number] = "done"
            except BaseException as error:  # noqa: BLE001  the test says what it may be
                came[number] = error
            finally:
                db.session.remove()

    threads = [threading.Thread(target=do, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [came[number] for number in range(len(acts))]


def told(came: Sequence[Did]) -> list[str]:
    """The kinds of what those were told who came second."""
    return [one.message.kind if isinstance(one, RavadaError) else str(one) for one in came if one != "done"]


def test_two_who_give_up_and_take_back_at_once_never_leave_half_of_it(
    chief: User, node_id: int, migrated_app: Flask
) -> None:
    gives = [lambda actor: give_up(actor, node_id)] * 2
    takes = [lambda actor: giving_up.take_back(actor, node(node_id))] * 2
    came = at_once(migrated_app, *gives, *takes)
    assert came[:2].count("done") == 1 and told(came[:2]) == ["nodes.given_up_already"]
    assert set(told(came[2:])) <= {"nodes.not_given_up", "nodes.give_up_under_way"} and len(told(came[2:])) == 2
    operation = db.session.scalars(select(Operation).where(Operation.kind == "node_give_up")).one()
    assert operation.state == OperationState.WAITING and node(node_id).is_given_up
    work(operation)
    assert told(at_once(migrated_app, *takes)) == ["nodes.not_given_up"]
    actions = db.session.scalars(select(Event.action).where(Event.object_kind == "node")).all()
    assert [actions.count(one) for one in ("give_up_node", "take_back")] == [1, 1]
    assert node(node_id).service_state == ServiceState.DISABLED


def test_two_who_bring_back_and_delete_at_once_one_of_them_does(chief: User, node_id: int, migrated_app: Flask) -> None:
    work(give_up(chief, node_id))
    giving_up.take_back(chief, node(node_id))
    change(Node, Node.id == node_id, observed=Observed.UP)
    for number, row in enumerate(left()[:3]):
        brings = [lambda actor, id_=row.id: orphans.bring_back(actor, node(node_id), id_, "alice")] * 2
        deletes = [lambda actor, id_=row.id: orphans.delete(actor, node(node_id), id_)] * 2
        name, came = row.name, at_once(migrated_app, *brings, *deletes)
        assert came.count("done") == 1 and set(told(came)) == {"nodes.no_such_remains"}, (number, came)
        found = db.session.scalars(select(Clone.id).where(Clone.name == name)).all()
        assert len(found) == came[:2].count("done")
        db.session.rollback()


@one
def test_tried_again_after_the_node_was_taken_back_it_ends_nothing_there(chief: User, node_id: int) -> None:
    operation = give_up(chief, node_id)
    before = there(node_id)
    change(Operation, Operation.id == operation.id, state=OperationState.FAILED)
    giving_up.take_back(chief, node(node_id))
    operation_requests.retry(chief, [operation.id])
    db.session.rollback()
    execution.run(operation.id, 2, giving_up_work.give_up)
    db.session.rollback()
    again = db.session.get_one(Operation, operation.id)
    assert (again.state, again.error.kind) == (OperationState.FAILED, "nodes.not_given_up")
    assert there(node_id) == before and not left()


@one
def test_one_that_is_up_and_the_master_are_not_given_up(chief: User, node_id: int) -> None:
    change(Node, Node.id == node_id, observed=Observed.UP)
    with pytest.raises(Conflict) as answers:
        give_up(chief, node_id)
    change(Node, observed=Observed.DOWN)
    (master,) = db.session.scalars(select(Node.id).where(Node.is_master))
    with pytest.raises(Conflict) as leads:
        give_up(chief, master)
    kinds = (answers.value.message.kind, leads.value.message.kind)
    assert kinds == ("nodes.give_up_answers", "nodes.give_up_master")


@one
def test_its_operations_are_stopped_and_removing_it_leads_here(chief: User, node_id: int) -> None:
    with pytest.raises(Conflict) as refused:
        removal.remove(chief, node(node_id))
    assert refused.value.message.kind == "nodes.has_clones_away"
    change(Operation, Operation.node_id == node_id, state=OperationState.WAITING)
    mine = give_up(chief, node_id).id
    db.session.rollback()
    states = dict(db.session.execute(select(Operation.id, Operation.state).where(Operation.node_id == node_id)).all())
    assert states.pop(mine) == OperationState.WAITING and set(states.values()) == {OperationState.CANCELLED}


def test_interrupted_it_goes_on_and_no_line_is_written_twice(
    chief: User, node_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_up_work.settings(), "clone_batch", 1)
    operation = give_up(chief, node_id)
    steps = iter(range(2))

    def check(_handle: Handle) -> None:
        if next(steps, None) is None:
            raise Superseded

    with monkeypatch.context() as patch:
        patch.setattr(Handle, "check", check)
        execution.run(operation.id, operation.attempt, giving_up_work.give_up)
    assert 0 < len(left()) < 5 and there(node_id)
    change(Operation, Operation.id == operation.id, state=OperationState.WAITING)
    work(db.session.get_one(Operation, operation.id))
    assert not there(node_id)
    told = db.session.scalars(select(Event.object_name).where(Event.action == "given_up")).all()
    assert len(told) == len(set(told)) == len(left())


@one
def test_given_up_it_is_looked_at_now_and_then_and_has_no_link(chief: User, node_id: int) -> None:
    give_up(chief, node_id)
    record([Answer(node_id, Observed.DOWN, "Gone.", round=1)])
    assert node_id not in {one for lot in part() for one in lot}
    assert node_id not in {where.node_id for where in endpoints.targets_to_link().targets}


@one
def test_if_it_answers_again_nothing_is_sent_there_until_it_is_taken_back(chief: User, node_id: int) -> None:
    work(give_up(chief, node_id))
    running = {row.uuid: DomainState(row.name, "running") for row in left()}
    record([Answer(node_id, Observed.UP, health=NodeHealth(running), round=1)])
    assert node(node_id).observed == Observed.UP and not node(node_id).is_reachable
    assert len(left()) == len(running), "what was given up is not ended by itself: it may be somebody's work"
    reason = unserved(starting_states(db.session(), [node(node_id)])[node_id])
    assert reason is not None and reason.code == "given_up"
    assert node_id in {one for lot in part() for one in lot}
    with pytest.raises(Conflict):
        orphans.bring_back(chief, node(node_id), left()[0].id, "alice")
    giving_up.take_back(chief, node(node_id))
    assert node(node_id).service_state == ServiceState.DISABLED and node(node_id).is_reachable
    with pytest.raises(Conflict):
        giving_up.take_back(chief, node(node_id))


def test_what_stands_there_again_is_brought_back_or_deleted(chief: User, node_id: int) -> None:
    work(give_up(chief, node_id))
    giving_up.take_back(chief, node(node_id))
    first, second = left()[:2]
    name, uuid, macs, gone = first.name, first.uuid, first.macs, second.uuid
    running = NodeHealth({row.uuid: DomainState(row.name, "running") for row in left()})
    record([Answer(node_id, Observed.UP, health=running, round=1)])
    orphans.bring_back(chief, node(node_id), left()[0].id, "alice")
    record([Answer(node_id, Observed.UP, health=running, round=2)])
    clone = db.session.scalars(select(Clone).where(Clone.name == name)).one()
    assert (clone.uuid, clone.owner.name, clone.state) == (uuid, "alice", CloneState.RUNNING)
    assert db.session.scalars(select(CloneNic.mac).where(CloneNic.clone_id == clone.id)).all() == macs
    assert db.session.scalars(select(Replica).where(Replica.node_id == node_id)).one().version_id == clone.version_id
    with pytest.raises(NotFound):
        orphans.ignore(chief, node(node_id), left()[0].id)
    orphans.delete(chief, node(node_id), left()[0].id)
    record([Answer(node_id, Observed.UP, health=running, round=3)])
    assert node(node_id).returning, "it is ended and removed first"
    assert [row.uuid for row in left() if row.cause == Cause.DELETED] == [gone]
    with pytest.raises(NotFound):
        orphans.delete(chief, node(node_id), next(row.id for row in left() if row.cause == Cause.DELETED))


@one
def test_a_name_that_was_given_again_is_said(chief: User, node_id: int) -> None:
    work(give_up(chief, node_id))
    giving_up.take_back(chief, node(node_id))
    change(Node, Node.id == node_id, observed=Observed.UP)
    (other, *_rest) = db.session.scalars(select(Clone.id).order_by(Clone.id))
    change(Clone, Clone.id == other, name=left()[0].name)
    with pytest.raises(Conflict) as taken:
        orphans.bring_back(chief, node(node_id), left()[0].id, "alice")
    assert taken.value.message.kind == "nodes.name_in_use"


@one
def test_one_that_waits_there_can_still_be_deleted(chief: User, node_id: int) -> None:
    work(give_up(chief, node_id, "wait", "wait"))
    ids = db.session.scalars(select(Clone.id).where(Clone.node_id == node_id)).all()
    assert len(actions.delete(chief, ids).done) == len(ids) and not there(node_id)


@one
def test_volatile_ones_that_are_not_made_again_do_not_wait(chief: User, node_id: int) -> None:
    change(Base, remakes=False)
    work(give_up(chief, node_id, "wait", "wait"))
    assert there(node_id) == {"pc"}
