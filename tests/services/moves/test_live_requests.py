"""A clone that runs is asked to move: it is in use meanwhile, its place there is taken, and what cannot go on running
there is refused beside the field."""

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.messages import NOTHING
from ravada_web.models import (
    Base,
    Cause,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    Replica,
    ReplicaState,
    Role,
    ServiceState,
    User,
)
from ravada_web.platforms import Host
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import replicas
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.consoles import screenshot_work, tickets
from ravada_web.services.desktops import cards, launching
from ravada_web.services.lifecycle import removal
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.moves import requests
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.execution import end
from ravada_web.services.people import quotas
from ravada_web.services.placements.loads import node_loads
from ravada_web.services.transaction import hold_lock, hold_rows, transaction
from tests.support.factories import FACTS, change, make_base, make_nodes, make_user

MACHINE, PROCESSOR = "pc-q35-7.2", "qemu64"
HOST = Host("x86_64", "qemu", frozenset({MACHINE}), frozenset({PROCESSOR}))
OTHER = Host("x86_64", "qemu", frozenset({"pc-q35-10.0"}), frozenset({PROCESSOR}))


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    """An administrator, and desk-1 of theirs, which runs on n1."""
    user = make_user("chief", Role.ADMINISTRATOR)
    base = make_base(make_nodes(2))
    change(Node, facts=FACTS.to_dict(), platform=HOST.to_dict(), platform_digest=HOST.digest)
    change(Node, Node.name == "n2", service_state=ServiceState.DISABLED)
    request_clones(user, Request(base, 1, "desk", user.name))
    change(Node, Node.name == "n2", service_state=ServiceState.ENABLED)
    running = {"state": CloneState.RUNNING, "display": "/run/desk.sock", "started_round": 0}
    change(Clone, **running, virt_type="qemu", machine=MACHINE, processor=PROCESSOR)
    change(Operation, state=OperationState.DONE)
    return user


def desk() -> Clone:
    db.session.rollback()
    return db.session.scalars(select(Clone)).one()


def node(name: str) -> Node:
    db.session.rollback()
    return db.session.scalars(select(Node).where(Node.name == name)).one()


def ask(chief: User) -> Operation:
    return requests.request_move(chief, desk().id, node("n2").id, live=True)


def test_it_is_in_use_meanwhile_and_takes_memory_on_both(chief: User) -> None:
    before = node_loads(db.session())[node("n1").id].committed_mib
    had = quotas.used_by(chief)
    operation = ask(chief)
    assert (operation.params["live"], operation.params["at_deadline"]) == (True, "stop")
    row = desk()
    assert (row.state, row.state_before, row.state_in_use) == (CloneState.MOVING, CloneState.RUNNING, "running")
    assert (row.display, row.node.name) == ("/run/desk.sock", "n1")
    loads = node_loads(db.session())
    here, there = loads[node("n1").id], loads[node("n2").id]
    assert (here.committed_mib, here.running) == (before, 1), "it still runs here"
    assert (there.committed_mib, there.newer_mib, there.running, there.clones) == (before, before, 1, 1)
    assert there.vcpus == here.vcpus > 0
    assert quotas.used_by(chief) == had, "its user has one desktop that runs"
    assert node_list.row_of(node("n1")).running == 1
    assert cards.card(chief, desk()).opens
    assert launching.launch(chief, desk().id).state == CloneState.MOVING, "it is there already"
    assert tickets.SHOWN and desk().state_in_use in tickets.SHOWN
    shown = db.session.scalars(select(Clone.id).where(Clone.state_in_use == CloneState.RUNNING)).all()
    assert shown == [desk().id]
    assert screenshot_work.due() is not None


@pytest.mark.parametrize("live", [True, False])
def test_the_base_stays_where_it_moves_to_until_it_is_there_or_does_not_come(chief: User, live: bool) -> None:
    change(Clone, state=CloneState.RUNNING if live else CloneState.STOPPED)
    operation = requests.request_move(chief, desk().id, node("n2").id, live=live)
    base = db.session.scalars(select(Base)).one()
    base_actions.allow(chief, base, {node("n1").id})
    replicas.settle_all()

    def there() -> Replica:
        db.session.rollback()
        return db.session.scalars(select(Replica).where(Replica.node_id == node("n2").id)).one()

    assert there().state == ReplicaState.READY and replicas.is_wanted(db.session(), there().id)
    assert replicas.stands_on(db.session(), there())
    with transaction() as session:
        end(session, session.get_one(Operation, operation.id), OperationState.FAILED, NOTHING)
    replicas.settle_all()
    assert there().state == ReplicaState.REMOVING


def test_the_node_that_it_moves_to_is_not_removed(chief: User) -> None:
    ask(chief)
    change(Node, Node.name == "n2", seen=Observed.DOWN)
    with pytest.raises(Conflict) as refused:
        removal.remove(chief, node("n2"))
    assert refused.value.message.kind == "nodes.has_arriving"
    assert desk().moves_live and db.session.scalar(select(Remains.id)) is not None


def test_one_that_is_off_and_moves_is_not_in_use(chief: User) -> None:
    change(Clone, state=CloneState.STOPPED)
    requests.request_move(chief, desk().id, node("n2").id)
    assert (desk().state_in_use, desk().moves_live) == (CloneState.MOVING, False)
    loads = node_loads(db.session())
    assert [loads[node(name).id].committed_mib for name in ("n1", "n2")] == [0, 0]
    assert not cards.card(chief, desk()).opens


@pytest.mark.parametrize("state", [CloneState.STOPPED, CloneState.PAUSED, CloneState.STOPPING, CloneState.FAILED])
def test_only_one_that_runs_moves_while_it_runs(chief: User, state: CloneState) -> None:
    change(Clone, state=state)
    with pytest.raises(InvalidInput) as refused:
        ask(chief)
    assert refused.value.fields["node_id"].kind == "moves.must_run"
    assert desk().state == state


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"platform": OTHER.to_dict(), "platform_digest": OTHER.digest}, "placement.move_machine"),
        ({"platform_digest": ""}, "placement.move_host_unknown"),
        ({"memory_free_mib": 0}, "placement.memory"),
        ({"service_state": ServiceState.DISABLED}, "placement.not_enabled"),
    ],
    ids=["another machine type", "never asked", "full", "out of service"],
)
def test_a_target_that_cannot_run_it_is_refused_beside_the_field(
    chief: User, values: dict[str, object], code: str
) -> None:
    change(Node, Node.name == "n2", **values)
    with pytest.raises(InvalidInput) as refused:
        ask(chief)
    assert refused.value.fields["node_id"].figures["reason"].kind == code
    assert (desk().state, db.session.scalars(select(Remains)).all()) == (CloneState.RUNNING, [])


def test_what_comes_to_a_node_is_not_offered_for_import_there(chief: User) -> None:
    ask(chief)
    coming = NodeHealth({desk().uuid: DomainState("desk-1", "paused")})
    record([Answer(node("n2").id, Observed.UP, health=coming, round=1)])
    assert (node("n2").other_domains, desk().state, desk().node.name) == ([], CloneState.MOVING, "n1")


def test_several_are_asked_for_in_one_transaction_or_none(chief: User) -> None:
    to, clone_id = node("n2").id, desk().id
    with pytest.raises(InvalidInput), transaction() as session:
        hold_lock(session, "placement")
        hold_rows(session, Clone, [clone_id])
        requests.move_within(session, chief, clone_id, to, live=True)
        requests.move_within(session, chief, clone_id, to, live=True)
    assert (desk().state, db.session.scalars(select(Remains)).all()) == (CloneState.RUNNING, [])


def test_cancelled_before_it_began_it_runs_on(chief: User) -> None:
    operation_requests.cancel(chief, [ask(chief).id])
    assert (desk().state, desk().display, desk().reason) == (CloneState.RUNNING, "/run/desk.sock", NOTHING)
    assert db.session.scalars(select(Remains.cause)).all() == [Cause.MOVED]


def test_one_of_which_it_is_not_known_where_it_runs_stays_in_the_move(chief: User) -> None:
    asked = ask(chief)
    change(Operation, Operation.id == asked.id, result={"begun": True})
    with transaction() as session:
        end(session, session.get_one(Operation, asked.id), OperationState.FAILED, NOTHING)
    assert (desk().state, desk().state_in_use) == (CloneState.MOVING, CloneState.RUNNING)
    assert db.session.scalars(select(Remains.cause)).all() == [Cause.ARRIVING], "nothing there is ended"
