"""Volatile clones of a node that dies: made again on the others, those in use first, once, whatever happens meanwhile;
on both kinds of database."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.config import settings
from ravada_web.extensions import db
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.messages import text
from ravada_web.models import (
    Away,
    Base,
    Cause,
    Clone,
    CloneState,
    Console,
    Event,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    Role,
    now,
)
from ravada_web.remote.sampling import Sample
from ravada_web.services.clones import remake_work, shutdowns
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.desktops.cards import page_of
from ravada_web.services.lifecycle import known_off
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.operations.execution import run
from ravada_web.services.operations.sweep import hand_back
from ravada_web.services.transaction import transaction
from tests.support.factories import POOL, change, make_base, make_nodes, make_operation, make_user

RUNNING = CloneState.RUNNING


@dataclass
class World:
    """Three nodes, the first of which is to die, and the ids of six volatile clones there that run."""

    nodes: list[int]
    base: int
    clones: list[int]

    def die(self, node_id: int, away: Away = Away.SILENT) -> None:
        """A check has seen the node dead."""
        record([Answer(node_id, Observed.DOWN, text("SSH does not answer."), away, round=begin([node_id])[node_id])])

    def remake(self, attempt: int = 1) -> None:
        """Do what was asked for, as a worker does."""
        run(last().id, attempt, remake_work.remake)

    def rows(self) -> list[Clone]:
        db.session.rollback()
        return list(db.session.scalars(select(Clone).order_by(Clone.id)))

    def on(self, node_id: int) -> list[Clone]:
        return [clone for clone in self.rows() if clone.node_id == node_id]


def last() -> Operation:
    db.session.rollback()
    found = db.session.scalars(select(Operation).where(Operation.kind == "clones_remake").order_by(Operation.id)).all()
    return found[-1]


@pytest.fixture
def world(migrated_app: Flask) -> World:
    nodes = make_nodes(3)
    base = make_base(nodes)
    change(Node, Node.id != nodes[0], clone_limit=0)
    admin, owner = make_user("root", Role.ADMINISTRATOR), make_user("alice")
    request_clones(admin, Request(base, 6, "desk", owner.name, volatile=True))
    change(Node, clone_limit=None)
    change(Clone, state=RUNNING, started_at=now(), operation_id=None)
    return World(nodes, base, list(db.session.scalars(select(Clone.id).order_by(Clone.id))))


def before_and_after(world: World) -> list[tuple[int, str, int]]:
    return [(clone.id, clone.name, clone.owner_id) for clone in world.rows()]


def test_they_are_the_same_rows_elsewhere_with_nothing_of_the_former_ones(world: World) -> None:
    kept, former = before_and_after(world), {clone.uuid for clone in world.rows()}
    macs = {nic.mac for clone in world.rows() for nic in clone.nics}
    world.die(world.nodes[0])
    assert {str(clone.reason) for clone in world.rows()} == {
        "Host n1 failed. This desktop is being made again on another host."
    }
    world.remake()
    rows = world.rows()
    assert before_and_after(world) == kept
    assert sorted(clone.node_id for clone in rows) == sorted(world.nodes[1:] * 3)
    assert not former & {clone.uuid for clone in rows}
    assert not macs & {nic.mac for clone in rows for nic in clone.nics} and all(len(row.nics) == 1 for row in rows)
    assert {(clone.state, clone.start_after, clone.started_at) for clone in rows} == {("requested", True, None)}
    assert all("because host n1 failed" in str(clone.decision and clone.decision.why) for clone in rows)
    left = db.session.scalars(select(Remains)).all()
    assert {(row.uuid, row.node_id, row.cause) for row in left} == {
        (one, world.nodes[0], Cause.MADE_AGAIN) for one in former
    }
    assert {mac for row in left for mac in row.macs} == macs
    parts = db.session.scalars(select(Operation).where(Operation.kind == "clones_create", Operation.id > last().id))
    assert sorted(part.node_id or 0 for part in parts) == world.nodes[1:]


def test_a_death_is_one_operation_however_often_it_is_seen_and_ends_when_all_are_there(world: World) -> None:
    for _round in range(3):
        world.die(world.nodes[0])
    world.remake()
    world.remake()
    assert last().state == OperationState.WATCHED
    change(Clone, Clone.id.in_(world.clones[:2]), state=RUNNING, start_after=False)
    remake_work.watch([last().id])
    assert (last().progress, str(last().message)) == (33, "2 of 6 made again; 0 waiting for room.")
    change(Clone, state=RUNNING, start_after=False)
    remake_work.watch([last().id])
    assert (last().state, last().progress) == (OperationState.DONE, 100)
    world.die(world.nodes[0])
    assert len(db.session.scalars(select(Operation).where(Operation.kind == "clones_remake")).all()) == 1
    assert [str(event.text) for event in db.session.scalars(select(Event).where(Event.action == "remake"))] == [
        "6 clones"
    ]


def test_those_in_use_go_first_and_the_others_wait_in_order_until_there_is_room(world: World) -> None:
    viewed, idle = world.clones[4], world.clones[0]
    with transaction() as session:
        session.add(Console(clone_id=viewed, user_id=session.get_one(Clone, viewed).owner_id, gateway="g"))
    change(Clone, Clone.id == idle, state=CloneState.STOPPED, started_at=None)
    change(Node, Node.id == world.nodes[1], clone_limit=2)
    change(Node, Node.id == world.nodes[2], clone_limit=0)
    world.die(world.nodes[0])
    world.remake()
    assert [clone.id for clone in world.on(world.nodes[1])] == sorted([viewed, world.clones[1]])
    waiting = [(clone.id, clone.reason.figures["place"]) for clone in world.on(world.nodes[0])]
    assert waiting == [(idle, 4), *zip([one for one in world.clones[2:] if one != viewed], (1, 2, 3), strict=True)]
    assert "number 1 of 4 waiting" in str(world.on(world.nodes[0])[1].reason)
    change(Node, Node.id == world.nodes[2], clone_limit=4)
    remake_work.watch([last().id])
    assert not world.on(world.nodes[0]) and last().result["waiting"] == 0
    assert {clone.id: clone.start_after for clone in world.rows()} == {one: one != idle for one in world.clones}, (
        "one that nobody had started is made, and stays off"
    )


def test_room_that_is_freed_goes_to_the_first_in_line_and_the_others_move_up(world: World) -> None:
    change(Node, Node.id == world.nodes[2], service_state="disabled")
    change(Node, Node.id == world.nodes[1], memory_total_mib=3 * 512, memory_free_mib=3 * 512)
    world.die(world.nodes[0])
    world.remake()

    def line() -> dict[int, tuple[int, int]]:
        figures = {clone.id: clone.reason.figures for clone in world.on(world.nodes[0])}
        return {id_: (found["place"], found["count"]) for id_, found in figures.items()}

    first, second, third = world.clones[3:]
    assert line() == {first: (1, 3), second: (2, 3), third: (3, 3)}
    assert "number 3 of 3 waiting" in str(page_of(db.session.get_one(Clone, third).owner, "desk-6").items[0].notice)
    change(Clone, Clone.id == world.clones[0], state=CloneState.STOPPED, start_after=False)
    remake_work.watch([last().id])
    assert line() == {second: (1, 2), third: (2, 2)}
    assert [clone.id for clone in world.on(world.nodes[1])] == [*world.clones[:3], first]


def test_a_second_death_in_the_middle_places_again_what_was_given_to_it(world: World) -> None:
    world.die(world.nodes[0])
    world.remake()
    for state, clone in zip(("requested", "creating", "starting"), world.on(world.nodes[1]), strict=True):
        change(Clone, Clone.id == clone.id, state=state)
    world.die(world.nodes[1])
    world.remake()
    assert last().node_id == world.nodes[1] and len(world.on(world.nodes[2])) == 6
    assert all(clone.start_after for clone in world.rows())
    change(Clone, state=RUNNING, start_after=False)
    for operation in db.session.scalars(select(Operation.id).where(Operation.kind == "clones_remake")).all():
        remake_work.watch([operation])
        assert db.session.get_one(Operation, operation).state == OperationState.DONE


def test_a_node_that_is_back_before_its_turn_keeps_them(world: World) -> None:
    world.die(world.nodes[0])
    change(Node, Node.id == world.nodes[0], observed=Observed.UP)
    former = [clone.uuid for clone in world.rows()]
    world.remake()
    remake_work.watch([last().id])
    assert [clone.uuid for clone in world.rows()] == former and last().state == OperationState.DONE


def test_a_node_that_refuses_is_waited_for_a_while(world: World) -> None:
    world.die(world.nodes[0], Away.REFUSES)
    asked = select(Operation).where(Operation.kind == "clones_remake")
    assert not db.session.scalars(asked).all() and not any(clone.comes_again for clone in world.rows())
    change(Node, Node.id == world.nodes[0], observed_at=now() - timedelta(seconds=settings().remake_grace + 1))
    world.die(world.nodes[0], Away.REFUSES)
    assert len(db.session.scalars(asked).all()) == 1 and all(clone.comes_again for clone in world.rows())


def test_only_of_a_node_that_is_known_to_be_off_they_keep_their_addresses(world: World) -> None:
    macs = [nic.mac for clone in world.rows() for nic in clone.nics]
    world.die(world.nodes[0])
    with transaction() as session:
        known_off.record(session, session.get_one(Node, world.nodes[0]), text("A fence."))
    world.remake()
    assert [nic.mac for clone in world.rows() for nic in clone.nics] == macs and not world.on(world.nodes[0])
    assert db.session.get_one(Node, world.nodes[0]).known_off_used


def test_those_that_fell_with_a_node_that_is_back_first_are_started_and_not_thrown_away(world: World) -> None:
    world.die(world.nodes[0])
    off = {clone.uuid: DomainState(clone.name, "stopped") for clone in world.rows()}
    seen = Sample(0.5, 16384, 9000, {POOL: (1 << 36, 1 << 35)}, 0.0)
    number = begin([world.nodes[0]])[world.nodes[0]]
    record([Answer(world.nodes[0], Observed.UP, sample=seen, health=NodeHealth(off), round=number)])
    assert {clone.state for clone in world.rows()} == {CloneState.STARTING}
    world.remake()
    assert len(world.on(world.nodes[0])) == 6


@pytest.mark.parametrize("again", [True, False])
def test_persistent_ones_that_ran_are_started_again_where_their_base_says_so(world: World, again: bool) -> None:
    change(Clone, volatile=False)
    change(Base, restarts=again)
    stays_off = world.rows()[0].id
    change(Clone, Clone.id == stays_off, state=CloneState.STOPPED)
    world.die(world.nodes[0])
    off = {clone.uuid: DomainState(clone.name, "stopped") for clone in world.rows()}
    number = begin([world.nodes[0]])[world.nodes[0]]
    record([Answer(world.nodes[0], Observed.UP, health=NodeHealth(off), round=number)])
    states = {clone.id: clone.state for clone in world.rows()}
    assert states.pop(stays_off) == CloneState.STOPPED
    assert set(states.values()) == {CloneState.STARTING if again else CloneState.STOPPED}


def test_one_that_was_being_shut_down_is_made_again_and_stays_off(world: World) -> None:
    asked = make_operation(
        "clones_stop", state=OperationState.WATCHED, watched_until=now() - timedelta(hours=1), node_id=world.nodes[0]
    )
    change(Operation, Operation.id == asked.id, result={"off": 0, "asked": 1})
    change(Clone, Clone.id == world.clones[0], state="stopping", state_before=RUNNING, operation_id=asked.id)
    world.die(world.nodes[0])
    world.remake()
    assert [clone.id for clone in world.on(world.nodes[0])] == world.clones[:1]
    shutdowns.settle(asked.id, None)
    remake_work.watch([last().id])
    assert {clone.id: clone.start_after for clone in world.rows()} == {
        one: one != world.clones[0] for one in world.clones
    }
    assert not world.on(world.nodes[0])


def test_a_worker_that_is_killed_and_two_at_once_do_it_once(world: World, migrated_app: Flask) -> None:
    world.die(world.nodes[0])
    operation = last().id
    change(Operation, Operation.id == operation, state=OperationState.RUNNING)
    hand_back(operation, died=True)

    def work() -> None:
        with migrated_app.app_context():
            run(operation, 2, remake_work.remake)
            remake_work.watch([operation])
            db.session.remove()

    threads = [threading.Thread(target=work) for _worker in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert last().result == {"decisions": last().result["decisions"], "placed": 6, "waiting": 0}
    parts = db.session.scalars(select(Operation.items).where(Operation.kind == "clones_create")).all()
    assert sum(parts[1:]) == 6 and not world.on(world.nodes[0])


def test_what_is_not_to_be_made_again_is_left(world: World) -> None:
    cases: list[tuple[type, dict[str, object]]] = [(Base, {"remakes": False}), (Clone, {"volatile": False})]
    cases += [(Clone, {"state": "deleting"})]
    for table, which in cases:
        change(Base, remakes=True)
        change(Clone, state=RUNNING, volatile=True)
        change(table, **which)
        world.die(world.nodes[0])
        assert not db.session.scalars(select(Operation).where(Operation.kind == "clones_remake")).all(), which
    assert len(world.on(world.nodes[0])) == 6


def test_what_was_cancelled_is_not_asked_for_again_and_what_failed_is_later(world: World) -> None:
    def asked() -> Sequence[int]:
        db.session.rollback()
        return db.session.scalars(select(Operation.id).where(Operation.kind == "clones_remake")).all()

    world.die(world.nodes[0])
    change(Operation, Operation.kind == "clones_remake", state=OperationState.CANCELLED)
    world.die(world.nodes[0])
    assert len(asked()) == 1
    change(Operation, Operation.kind == "clones_remake", state=OperationState.FAILED, finished_at=now())
    world.die(world.nodes[0])
    assert len(asked()) == 1
    change(Operation, Operation.kind == "clones_remake", finished_at=None)
    world.die(world.nodes[0])
    assert len(asked()) == 2


def test_they_are_made_a_few_at_a_time_and_the_nodes_take_turns(world: World) -> None:
    change(Node, memory_total_mib=1 << 20, cpus=256)
    change(Node, Node.id != world.nodes[0], clone_limit=0)
    request_clones(make_user("chief", Role.ADMINISTRATOR), Request(world.base, 16, "more", "alice", volatile=True))
    change(Node, clone_limit=None)
    change(Clone, state=RUNNING, started_at=now(), operation_id=None)
    world.die(world.nodes[0])
    world.remake()
    made = select(Operation).where(Operation.kind == "clones_create", Operation.id > last().id).order_by(Operation.id)
    assert [(part.node_id, part.items) for part in db.session.scalars(made)] == [
        *((node_id, 8) for node_id in world.nodes[1:]),
        *((node_id, 3) for node_id in world.nodes[1:]),
    ]
