"""The page that moves a desktop to another node."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select

from ravada_web.extensions import db
from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.messages import message
from ravada_web.models import (
    AllowedNode,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    ServiceState,
    now,
)
from ravada_web.services.moves.under_way import time_left
from ravada_web.services.nodes.platforms import store_platform
from ravada_web.services.people import operator_scopes
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support import factories
from tests.support.factories import change
from tests.web.conftest import World

SignIn = Callable[[str], FlaskClient]


def test_it_offers_nodes_says_why_not_of_others_and_moves(world: World, sign_in: SignIn) -> None:
    clone = db.session.get_one(Clone, world.mine)
    there, away = (id_ for id_ in world.nodes if id_ != clone.node_id)
    change(Node, Node.id == away, observed=Observed.DOWN)
    client, page = sign_in("operator"), f"/clones/{world.mine}"
    assert f"{page}/move" in client.get(page).text
    offered = client.get(f"{page}/move").text
    assert f'value="{there}"' in offered and f'value="{away}"' not in offered and "is down" in offered
    for wrong, said in ((away, "is down"), (clone.node_id, "already"), (9999, "Select a node"), ("x", "Select a node")):
        refused = client.post(f"{page}/move", data={"node_id": wrong})
        assert refused.status_code == 422 and "invalid-feedback" in refused.text and said in refused.text, wrong
    assert client.post(f"{page}/move", data={"node_id": there}).status_code == 303
    db.session.rollback()
    assert db.session.get_one(Clone, world.mine).state == CloneState.MOVING
    assert db.session.scalars(select(Operation.kind).order_by(Operation.id.desc())).first() == "clones_move"
    shown = client.get(page).text
    assert "Moving" in shown and f"{page}/move" not in shown
    again = client.post(f"{page}/move", data={"node_id": there})
    assert again.status_code == 422 and "being moved" in again.text


def test_how_far_it_is_is_shown_on_its_page_and_in_the_list_and_it_can_be_cancelled(
    world: World, sign_in: SignIn
) -> None:
    clone = db.session.get_one(Clone, world.mine)
    there = next(id_ for id_ in world.nodes if id_ != clone.node_id)
    client, page = sign_in("operator"), f"/clones/{world.mine}"
    assert "Cancel the move" not in client.get(page).text and "data-move" not in client.get(page).text
    assert client.post(f"{page}/move", data={"node_id": there}).status_code == 303
    db.session.rollback()
    operation = db.session.get_one(Clone, world.mine).operation_id
    change(
        Operation,
        Operation.id == operation,
        state=OperationState.RUNNING,
        started_at=now() - timedelta(minutes=2),
        progress=40,
        message=message("moves.copying", left_mib=300),
    )
    for address in (page, "/clones"):
        shown = client.get(address).text
        assert re.search("40% · Copying, 300 MiB left · about [^·<]+ left", shown), address
    assert 'data-live="clones states operations"' in shown
    assert "Cancel the move" in client.get(page).text
    cancelled = client.post("/operations/cancel", data={"id": operation, "next": page})
    assert cancelled.status_code == 303 and cancelled.location.endswith(page)
    assert "Cancel the move" not in client.get(page).text
    told = sign_in("user").get(page).text
    assert re.search(r"40% · about [^·<]+ left", told) and "Cancel the move" not in told
    assert "from n1" not in told, "they do not know of nodes"
    change(Operation, state=OperationState.CANCELLED)
    assert 'data-live="clones states"' in sign_in("operator").get("/clones").text


def test_an_operator_of_one_node_reads_how_far_a_move_is_and_not_where_it_goes(
    world: World, people: People, sign_in: SignIn
) -> None:
    clone = db.session.get_one(Clone, world.mine)
    here, there = clone.node_id, next(id_ for id_ in world.nodes if id_ != clone.node_id)
    page = f"/clones/{world.mine}"
    assert sign_in("administrator").post(f"{page}/move", data={"node_id": there}).status_code == 303
    foreign = message("moves.is_defined", node="n-foreign")
    change(Operation, Operation.kind == "clones_move", state=OperationState.RUNNING, progress=40, message=foreign)
    operator_scopes.set_scope(people.administrator, people.operator, [here], [])
    client = sign_in("operator")
    for address in (page, "/clones"):
        shown = client.get(address).text
        assert "40%" in shown and "n-foreign" not in shown and "Cancel the move" not in shown, address
    assert "n-foreign" in sign_in("administrator").get(page).text


@pytest.mark.parametrize(
    ("percent", "passed", "left"),
    [(50, 12, 10), (25, 33, 100), (40, 122, 180), (99, 1, 10), (4, 10, None), (100, 10, None), (50, None, None)],
)
def test_the_time_that_is_left_is_said_once_it_can_be(percent: int, passed: int | None, left: int | None) -> None:
    span = None if passed is None else timedelta(seconds=passed)
    assert time_left(percent, span) == (None if left is None else timedelta(seconds=left))


@pytest.fixture
def running(world: World) -> tuple[Clone, list[Node]]:
    """The user's desktop, which runs, and the other nodes: one that it can go to while it runs, one only off."""
    clone = db.session.get_one(Clone, world.mine)
    others = [node for node in db.session.scalars(select(Node).order_by(Node.id)) if node.id != clone.node_id]
    with transaction() as session:
        for node in session.scalars(select(Node)):
            facts = older(subnets={"default": "nat 10.0.0.0/24"}) if node.id == others[1].id else FACTS
            node.facts = facts.to_dict()
            store_platform(node, facts)
        clone.state, clone.virt_type, clone.machine = CloneState.RUNNING, "kvm", "pc-q35-7.2"
        clone.processor = "Westmere"
    return clone, others


def older(**values: object) -> NodeFacts:
    return replace(FACTS, machines=("pc-q35-6.2", "q35"), **values)  # type: ignore[arg-type]


FACTS = replace(
    factories.FACTS,
    offers=factories.FACTS.offers | {"cpu_model": ["Westmere"]},
    subnets={"default": "nat 192.168.122.0/24"},
)


def test_one_that_runs_is_offered_each_node_with_its_verdict_and_what_changes_there(
    world: World, sign_in: SignIn, running: tuple[Clone, list[Node]]
) -> None:
    client, page = sign_in("operator"), f"/clones/{world.mine}"
    assert f"{page}/move" in client.get(page).text
    shown = " ".join(client.get(f"{page}/move").text.split())
    near, far = shown.index('value="live"'), shown.index("Only while it is off")
    assert shown.index("While it runs") < far < near, "the nodes, those first that take it while it runs; then how"
    assert "it has the machine type pc-q35-7.2, the newest here is pc-q35-6.2" in shown
    assert "Its machine type changes from pc-q35-7.2 to pc-q35-6.2." in shown
    assert "network default has nat 10.0.0.0/24 there and nat 192.168.122.0/24 here" in shown


def given_up(node: Node) -> None:
    node.service_state = ServiceState.GIVEN_UP


def full(node: Node) -> None:
    node.memory_free_mib = 0


def other_processor(node: Node) -> None:
    facts = replace(FACTS, offers=FACTS.offers | {"cpu_model": ["Nehalem"]})
    node.facts = facts.to_dict()
    store_platform(node, facts)


REFUSED: list[tuple[Callable[[Node], object], str, str]] = [
    (given_up, "live", "was given up"),
    (full, "live", "of memory"),
    (full, "restart", "of memory"),
    (lambda node: setattr(node, "observed", Observed.DOWN), "live", "is down"),
    (lambda node: setattr(node, "service_state", ServiceState.DISABLED), "restart", "not enabled"),
    (lambda node: db.session.delete(db.session.get_one(AllowedNode, (1, node.id))), "live", "is not selected"),
    (other_processor, "live", "the processor model Westmere"),
    (lambda node: store_platform(node, older()), "live", "the machine type pc-q35-7.2"),
]


@pytest.mark.parametrize(("become", "way", "said"), REFUSED)
def test_a_node_that_does_not_take_it_is_refused_beside_the_field_by_page_and_command(
    app: Flask, world: World, sign_in: SignIn, running: tuple[Clone, list[Node]], become: Callable[[Node], object],
    way: str, said: str,
) -> None:  # fmt: skip
    clone, (target, _other) = running
    name, node = clone.name, target.name
    with transaction():
        become(target)
    data = {"node_id": str(target.id), "way": way, "confirmed": "yes"}
    refused = sign_in("operator").post(f"/clones/{world.mine}/move", data=data)
    assert refused.status_code == 422
    error = refused.text.partition("invalid-feedback")[2].partition("</div>")[0]
    assert said in error, error
    option = "--live" if way == "live" else "--cold"
    told = app.test_cli_runner().invoke(args=["clones", "move", name, node, option])
    assert told.exit_code == 1 and said in told.stderr and len(told.stderr.splitlines()) == 1
    db.session.rollback()
    assert db.session.get_one(Clone, world.mine).state == CloneState.RUNNING


@pytest.mark.parametrize(
    ("state", "data", "said"),
    [
        (CloneState.RUNNING, {}, "choose whether it goes on running"),
        (CloneState.RUNNING, {"way": "restart"}, "Confirm"),
        (CloneState.STOPPED, {"way": "live"}, "Only a running desktop"),
        (CloneState.STOPPED, {"way": "restart", "confirmed": "yes"}, "Only a running desktop"),
        (CloneState.PAUSED, {"way": "live"}, "Only a running desktop"),
        (CloneState.FAILED, {}, "while it runs or is off"),
    ],
)
def test_what_cannot_be_done_to_it_now_is_said_beside_the_field(
    world: World, sign_in: SignIn, running: tuple[Clone, list[Node]], state: str, data: dict[str, str], said: str
) -> None:
    change(Clone, state=state)
    target = running[1][0].id
    refused = sign_in("operator").post(f"/clones/{world.mine}/move", data=data | {"node_id": str(target)})
    assert refused.status_code == 422
    assert said in refused.text.partition("invalid-feedback")[2].partition("</div>")[0]


def test_one_that_runs_is_moved_as_was_chosen(
    app: Flask, world: World, sign_in: SignIn, running: tuple[Clone, list[Node]]
) -> None:
    clone, (near, far) = running
    client, page, name, node = sign_in("operator"), f"/clones/{world.mine}/move", clone.name, far.name
    ids = near.id, far.id
    assert client.post(page, data={"node_id": str(ids[0]), "way": "live"}).status_code == 303
    assert last_move() == {"live": True, "restart": None, "target_id": ids[0]}
    change(Clone, state=CloneState.RUNNING, operation_id=None)
    change(Operation, state=OperationState.DONE)
    assert client.post(page, data={"node_id": str(ids[1]), "way": "restart", "confirmed": "yes"}).status_code == 303
    assert last_move() == {"live": None, "restart": True, "target_id": ids[1]}
    change(Clone, state=CloneState.RUNNING, operation_id=None)
    with transaction() as session:
        session.execute(delete(Remains))
    told = app.test_cli_runner().invoke(args=["clones", "move", name, node])
    assert told.exit_code == 1 and "choose whether" in told.stderr
    assert app.test_cli_runner().invoke(args=["clones", "move", name, node, "--cold"]).exit_code == 0
    assert last_move() == {"live": None, "restart": True, "target_id": ids[1]}


def test_how_long_it_may_take_while_it_runs_and_what_comes_then_is_chosen(
    app: Flask, world: World, sign_in: SignIn, running: tuple[Clone, list[Node]]
) -> None:
    clone, (near, _far) = running
    client, page, name, node = sign_in("operator"), f"/clones/{world.mine}/move", clone.name, near.name
    to = {"node_id": str(near.id), "way": "live"}
    shown = client.get(page).text
    assert 'name="deadline_seconds"' in shown and 'value="600"' in shown and 'value="give_up"' in shown
    for text, said in (
        ("0", "between 1 and 14,400"),
        ("-60", "between 1"),
        ("90000", "between 1"),
        ("soon", "whole number"),
    ):
        refused = client.post(page, data=to | {"deadline_seconds": text})
        error = refused.text.partition('id="deadline_seconds-error"')[2].partition("</div>")[0]
        assert refused.status_code == 422 and said in error, text
    refused = client.post(page, data=to | {"at_deadline": "explode"})
    assert refused.status_code == 422 and 'id="at_deadline-error"' in refused.text
    run = app.test_cli_runner().invoke
    for wrong in (["--live", "--deadline", "0"], ["--live", "--deadline", "-5"], ["--live", "--deadline", "86401"]):
        told = run(args=["clones", "move", name, node, *wrong])
        assert told.exit_code == 1 and "between 1 and" in told.stderr, wrong
    for wrong in (["--deadline", "60"], ["--cold", "--at-deadline", "stop"], ["--live", "--deadline", "soon"]):
        assert run(args=["clones", "move", name, node, *wrong]).exit_code == 2, wrong
    assert client.post(page, data=to | {"deadline_seconds": "90", "at_deadline": "give_up"}).status_code == 303
    assert last_move("deadline_seconds", "at_deadline") == {"deadline_seconds": 90, "at_deadline": "give_up"}
    change(Clone, state=CloneState.RUNNING, operation_id=None)
    with transaction() as session:
        session.execute(delete(Remains))
    chosen = ["--live", "--deadline", "30", "--at-deadline", "give-up"]
    assert run(args=["clones", "move", name, node, *chosen]).exit_code == 0
    assert last_move("deadline_seconds", "at_deadline") == {"deadline_seconds": 30, "at_deadline": "give_up"}


def last_move(*names: str) -> dict[str, object]:
    db.session.rollback()
    moves = select(Operation).where(Operation.kind == "clones_move").order_by(Operation.id.desc())
    params = db.session.scalars(moves).first().params  # type: ignore[union-attr]
    return {name: params.get(name) for name in names or ("live", "restart", "target_id")}


@pytest.mark.parametrize("option", ["--live", "--cold"])
def test_where_it_is_already_it_is_not_moved_to(
    app: Flask, world: World, sign_in: SignIn, running: tuple[Clone, list[Node]], option: str
) -> None:
    name, node, here = running[0].name, running[0].node.name, running[0].node_id
    data = {"node_id": str(here), "way": "live" if option == "--live" else "restart", "confirmed": "yes"}
    refused = sign_in("operator").post(f"/clones/{world.mine}/move", data=data)
    assert refused.status_code == 422 and "already" in refused.text.partition("invalid-feedback")[2]
    told = app.test_cli_runner().invoke(args=["clones", "move", name, node, option])
    assert told.exit_code == 1 and "already" in told.stderr
