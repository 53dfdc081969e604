"""Two at once, on PostgreSQL: what SQLite's one write lock keeps apart. One is under way, the other comes meanwhile;
what was accepted stands, and who comes second is told."""

from collections.abc import Sequence

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.errors import Conflict, RavadaError
from ravada_web.extensions import db
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.messages import text
from ravada_web.models import Base, Clone, CloneState, Node, Observed, Operation, OperationState, Role, User
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.batch import set_state
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.lifecycle import removal
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.operations import execution
from ravada_web.services.operations.execution import Handle, Superseded
from ravada_web.services.operations.sweep import Lost, hand_back
from tests.support.factories import change, make_base, make_nodes, make_operation, make_user
from tests.support.races import while_under_way

pytestmark = [
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.usefixtures("migrated_app"),
]
SEEN = {"running": Observed.UP, "down": Observed.DOWN}


@pytest.fixture
def chief(migrated_app: Flask) -> int:
    return make_user("chief", Role.ADMINISTRATOR).id


@pytest.fixture
def clone_ids(chief: int) -> Sequence[int]:
    """Two clones on one node, off."""
    request_clones(actor(chief), Request(make_base(make_nodes(1)), 2, "pc", "chief"))
    change(Clone, state=CloneState.STOPPED)
    change(Operation, state=OperationState.DONE)
    return db.session.scalars(select(Clone.id).order_by(Clone.id)).all()


def actor(user_id: int) -> User:
    return db.session.get_one(User, user_id)


def node_id() -> int:
    return db.session.scalars(select(Node.id)).one()


def state(clone_id: int) -> str:
    db.session.rollback()
    return db.session.get_one(Clone, clone_id).state


def operation(operation_id: int) -> tuple[str, int]:
    db.session.rollback()
    row = db.session.get_one(Operation, operation_id)
    return row.state, row.attempt


def answer(what: str) -> Answer:
    """What a round that begins now sees of the node: its clones run, or it is down."""
    number = begin([node_id()])[node_id()]
    domains = {row.uuid: DomainState(row.name, "running") for row in db.session.scalars(select(Clone))}
    health = NodeHealth(domains) if what == "running" else None
    db.session.rollback()
    return Answer(1, SEEN[what], round=number, health=health)


@pytest.mark.parametrize("what", SEEN)
def test_an_accepted_delete_is_not_overwritten_by_a_check(chief: int, clone_ids: Sequence[int], what: str) -> None:
    seen = answer(what)
    with while_under_way(lambda: record([seen])) as written:
        clone_actions.delete(actor(chief), clone_ids[:1])
    written()
    assert state(clone_ids[0]) == CloneState.DELETING
    assert state(clone_ids[1]) == {"running": CloneState.RUNNING, "down": CloneState.UNREACHABLE}[what]


def test_a_start_that_comes_while_a_check_is_written_is_judged_by_what_it_saw(
    chief: int, clone_ids: Sequence[int]
) -> None:
    seen = answer("down")
    with while_under_way(lambda: clone_actions.start(actor(chief), clone_ids)) as started:
        record([seen])
    assert not started().done and len(started().skipped) == 2
    assert state(clone_ids[0]) == CloneState.UNREACHABLE


def test_a_volatile_one_that_its_owner_starts_again_is_not_thrown_away(chief: int, clone_ids: Sequence[int]) -> None:
    change(Clone, volatile=True, started_at=db.session.get_one(Clone, clone_ids[0]).created_at)
    number = begin([1])[1]
    off = NodeHealth({row.uuid: DomainState(row.name, "stopped") for row in db.session.scalars(select(Clone))})
    db.session.rollback()
    with while_under_way(lambda: record([Answer(1, Observed.UP, round=number, health=off)])) as written:
        clone_actions.start(actor(chief), clone_ids[:1])
    written()
    assert [state(clone_id) for clone_id in clone_ids] == [CloneState.STARTING, CloneState.DELETING]


@pytest.mark.parametrize("second", ["start", "delete"])
def test_of_two_actions_on_one_clone_the_second_is_told(chief: int, clone_ids: Sequence[int], second: str) -> None:
    act = getattr(clone_actions, second)
    with while_under_way(lambda: act(actor(chief), clone_ids[:1])) as came:
        assert clone_actions.start(actor(chief), clone_ids[:1]).done
    (skipped,) = came().skipped
    assert skipped.so_already == (second == "start")
    assert state(clone_ids[0]) == CloneState.STARTING
    kinds = db.session.scalars(select(Operation.kind).where(Operation.state == OperationState.WAITING)).all()
    assert kinds == ["clones_start"]


def test_of_two_starts_at_the_limit_one_is_refused(chief: int, clone_ids: Sequence[int]) -> None:
    change(Node, memory_total_mib=700, memory_free_mib=700)
    with while_under_way(lambda: clone_actions.start(actor(chief), clone_ids[1:])) as came:
        assert clone_actions.start(actor(chief), clone_ids[:1]).done
    assert not came().done and came().skipped[0].obstacle is not None
    assert [state(clone_id) for clone_id in clone_ids] == [CloneState.STARTING, CloneState.STOPPED]


def remove_node(chief: int) -> None:
    removal.remove(actor(chief), db.session.get_one(Node, 2))


def request_one(chief: int) -> None:
    request_clones(actor(chief), Request(db.session.scalars(select(Base.id)).one(), 1, "pc", "chief"))


def test_a_node_on_which_a_clone_is_being_placed_is_not_removed(chief: int) -> None:
    make_base(make_nodes(2))
    change(Node, Node.id == 1, runs_clones=False)
    with while_under_way(lambda: remove_node(chief)) as removed:
        request_one(chief)
    with pytest.raises(Conflict) as told:
        removed()
    assert told.value.message.kind == "nodes.has_clones"
    assert db.session.scalars(select(Clone.node_id)).all() == [2]


def test_nothing_is_placed_on_a_node_that_is_being_removed(chief: int) -> None:
    make_base(make_nodes(2))
    change(Node, Node.id == 1, runs_clones=False)
    change(Node, Node.id == 2, observed=Observed.DOWN)
    with while_under_way(lambda: request_one(chief)) as requested:
        remove_node(chief)
    with pytest.raises(RavadaError):
        requested()
    assert db.session.scalars(select(Clone.id)).all() == []


def test_of_two_removals_of_one_node_the_second_is_told(chief: int) -> None:
    make_nodes(2)
    with while_under_way(lambda: remove_node(chief)) as removed:
        remove_node(chief)
    with pytest.raises(RavadaError):
        removed()


def test_a_base_is_prepared_once(chief: int) -> None:
    base_id = make_base(make_nodes(1))
    change(Base, state="new")
    with while_under_way(lambda: base_actions.prepare(actor(chief), db.session.get_one(Base, base_id))) as prepared:
        base_actions.prepare(actor(chief), db.session.get_one(Base, base_id))
    with pytest.raises(Conflict):
        prepared()


def test_what_two_sweeps_find_lost_is_handed_back_once(migrated_app: Flask) -> None:
    lost = Lost(make_operation().id, 1, OperationState.WAITING, False)
    with while_under_way(lambda: hand_back(lost.id, False, lost)) as second:
        hand_back(lost.id, False, lost)
    second()
    assert operation(lost.id) == (OperationState.WAITING, 2)


def test_what_is_claimed_while_it_is_handed_back_is_left_to_its_worker(migrated_app: Flask) -> None:
    lost = Lost(make_operation().id, 1, OperationState.WAITING, False)
    with while_under_way(lambda: hand_back(lost.id, False, lost)) as second:
        assert execution._claim(lost.id, 1)
    second()
    assert operation(lost.id) == (OperationState.RUNNING, 1)


def test_what_is_handed_back_while_it_is_claimed_is_not_done_by_the_former_attempt(migrated_app: Flask) -> None:
    lost, done = Lost(make_operation().id, 1, OperationState.WAITING, False), []
    with while_under_way(lambda: execution.run(lost.id, 1, lambda handle: done.append(handle.attempt))) as second:
        hand_back(lost.id, False, lost)
    second()
    assert not done
    assert operation(lost.id) == (OperationState.WAITING, 2)


def claimed(clone_ids: Sequence[int]) -> Handle:
    """The handle of a start of these clones that is under way."""
    operation_id = make_operation(state=OperationState.RUNNING).id
    change(Clone, Clone.id.in_(clone_ids), state=CloneState.STARTING, operation_id=operation_id)
    return Handle(operation_id, 1, "clones_start", 1, None, None, False, {})


def test_an_attempt_that_is_handed_on_while_it_writes_writes_nothing(chief: int, clone_ids: Sequence[int]) -> None:
    handle = claimed(clone_ids)
    with while_under_way(lambda: set_state(handle, clone_ids, CloneState.RUNNING)) as written:
        hand_back(handle.operation_id, died=True)
    with pytest.raises(Superseded):
        written()
    assert state(clone_ids[0]) == CloneState.STARTING


def test_an_attempt_whose_operation_ends_while_it_writes_writes_nothing(chief: int, clone_ids: Sequence[int]) -> None:
    handle = claimed(clone_ids)
    with while_under_way(lambda: set_state(handle, clone_ids, CloneState.RUNNING)) as written:
        execution._end(handle, OperationState.CANCELLED, text("no"))
    with pytest.raises(Superseded):
        written()
    assert state(clone_ids[0]) == CloneState.STOPPED
