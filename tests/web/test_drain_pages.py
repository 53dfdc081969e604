"""The page that drains nodes: what becomes of each desktop, what is refused, how far it is; and what users read."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import (
    Clone,
    CloneState,
    MovePlan,
    MoveState,
    Node,
    Observed,
    Operation,
    OperationState,
    PlannedMove,
    PlanState,
    ServiceState,
    User,
    now,
)
from ravada_web.services import paging
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.desktops.launching import launch
from ravada_web.services.lifecycle import draining
from ravada_web.services.lifecycle.draining import Wishes
from ravada_web.services.moves import plan_work
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes
from tests.web.asking import fragment

SignIn = Callable[[User | str], FlaskClient]
CHOSEN = {"minutes": "30", "at_deadline": "shut_down", "at_once": "2", "brings": "y"}


@pytest.fixture
def nodes(people: People) -> list[int]:
    """n1 with pc-1 (off), pc-2 (running) and kiosk-1 (volatile, off); n2 and n3 are empty."""
    ids = make_nodes(3)
    base = make_base(ids)
    change(Node, Node.id != ids[0], service_state=ServiceState.DISABLED)
    request_clones(people.administrator, Request(base, 2, "pc", people.user.name))
    request_clones(people.administrator, Request(base, 1, "kiosk", people.user.name, volatile=True))
    change(Node, service_state=ServiceState.ENABLED)
    change(Clone, state=CloneState.STOPPED)
    change(Clone, Clone.name == "pc-2", state=CloneState.RUNNING)
    return ids


def digest(client: FlaskClient, node_id: int) -> str:
    page = client.get(f"/nodes/drain?id={node_id}").text
    return page.split('name="digest"')[1].split('value="')[1].split('"')[0]


def clone(name: str) -> Clone:
    db.session.rollback()
    return db.session.scalars(select(Clone).where(Clone.name == name)).one()


def test_it_lists_first_what_becomes_of_each_then_how_far_it_is(
    people: People, nodes: list[int], sign_in: SignIn
) -> None:
    client = sign_in(people.administrator)
    assert f"/nodes/drain?id={nodes[0]}" in client.get(f"/nodes/{nodes[0]}").text
    page = client.get(f"/nodes/drain?id={nodes[0]}").text
    for way in ("cold", "shut_down", "throw_away"):
        assert f'data-way="{way}"' in page
    assert "any one of the other nodes can still fail" in page
    left = client.get(f"/nodes/drain?id={nodes[0]}&minutes=0&at_deadline=leave").text
    assert 'data-way="stays"' in left and "It is running." in left
    answer = client.post("/nodes/drain", data={**CHOSEN, "id": nodes[0], "digest": digest(client, nodes[0])})
    assert answer.status_code == 303
    plan_work.go_on(plan_work.due()[0])
    plan = client.get(answer.location).text
    assert "0 of 3 done." in plan and "Shuts down later" in plan and "Moving" in plan and "Deleting" in plan
    assert answer.location in client.get(f"/nodes/{nodes[0]}").text
    asked = client.get(f"{answer.location}/cancel").text
    assert 'value="return"' in asked
    assert client.post(f"{answer.location}/cancel", data={"choice": "stay"}).status_code == 303
    assert "Cancelled" in client.get(answer.location).text or "Being cancelled" in client.get(answer.location).text
    assert client.post(f"{answer.location}/cancel").status_code == 409


def test_what_is_refused_says_why(people: People, nodes: list[int], sign_in: SignIn) -> None:
    client = sign_in(people.administrator)
    seen = digest(client, nodes[0])

    def post(**data: object) -> str:
        answer = fragment(client, "/nodes/drain", method="POST", data={**CHOSEN, "id": nodes[0], "digest": seen} | data)
        assert answer.status_code == 422, answer.text
        return answer.text

    assert "Enter a number between 0 and" in post(minutes="-5")
    assert "Enter a number between 1 and 50" in post(at_once="0")
    assert "Enter a whole number" in post(hours="soon")
    assert "Select at least one node" in fragment(client, "/nodes/drain", method="POST", data=CHOSEN).text
    change(Clone, Clone.name == "pc-1", state=CloneState.RUNNING)
    assert "Something has changed" in post()
    db.session.rollback()
    assert not db.session.scalars(select(MovePlan)).all()
    change(Node, Node.id == nodes[0], seen=Observed.DOWN)
    assert "does not answer" in client.get(f"/nodes/drain?id={nodes[0]}").text
    assert post().count("does not answer") == 1
    change(Node, Node.id == nodes[0], service_state=ServiceState.DRAINING)
    assert "is being drained already" in post()


def test_what_does_not_shut_down_is_forced_off_only_where_that_is_confirmed(
    app: Flask, people: People, nodes: list[int], sign_in: SignIn
) -> None:
    client = sign_in(people.administrator)
    page = client.get(f"/nodes/drain?id={nodes[0]}&minutes=30&at_deadline=force_off").text
    assert "what is not saved there is lost." in page and 'name="confirmed"' in page
    assert "what is not saved there is lost." not in client.get(f"/nodes/drain?id={nodes[0]}").text
    chosen = CHOSEN | {"id": nodes[0], "digest": digest(client, nodes[0]), "at_deadline": "force_off"}
    refused = client.post("/nodes/drain", data=chosen)
    assert refused.status_code == 422 and "Confirm this" in refused.text.partition('id="confirmed-error"')[2]
    assert client.post("/nodes/drain", data={**chosen, "confirmed": "y"}).status_code == 303
    db.session.rollback()
    assert [plan.choices["forces_off"] for plan in db.session.scalars(select(MovePlan))] == [True]
    told = app.test_cli_runner().invoke(args=["nodes", "drain", "n2", "--at-deadline", "force-off", "--yes"])
    assert told.exit_code == 0
    db.session.rollback()
    assert [plan.choices["forces_off"] for plan in db.session.scalars(select(MovePlan))] == [True, True]


def test_several_nodes_are_selected_in_their_list(people: People, nodes: list[int], sign_in: SignIn) -> None:
    client = sign_in(people.administrator)
    assert client.get("/nodes").text.count('form="drain-nodes"') == 4
    page = client.get(f"/nodes/drain?id={nodes[0]}&id={nodes[1]}").text
    assert "Drain n1, n2" in page and "Drain 2 nodes" in page
    assert 'form="drain-nodes"' not in sign_in(people.operator).get("/nodes").text


def test_users_read_what_will_happen_and_a_launch_has_it_started_there(
    people: People, nodes: list[int], sign_in: SignIn
) -> None:
    draining.request_drain(people.administrator, [nodes[0]], Wishes(minutes=30, at_once=1))
    plan_work.go_on(plan_work.due()[0])
    client = sign_in(people.user)
    page = client.get("/").text
    assert page.count('data-note="ahead"') == 2 and "Save your work." in page
    assert "Launched now, it starts as soon as it is there." in page
    assert "Save your work." in client.get(f"/console/{clone('pc-2').id}").text
    assert launch(people.user, clone("pc-1").id).name == "pc-1"
    db.session.rollback()
    (move,) = db.session.scalars(select(PlannedMove).where(PlannedMove.clone_name == "pc-1"))
    assert move.starts and "It starts as soon as it is there." in client.get(f"/console/{move.clone_id}").text
    change(Clone, Clone.name == "pc-1", node_id=move.to_id, state=CloneState.STOPPED)
    change(Operation, state=OperationState.DONE)
    plan_work.go_on(plan_work.due()[0])
    assert clone("pc-1").state == CloneState.STARTING


def test_what_was_moved_away_comes_home(people: People, nodes: list[int], sign_in: SignIn) -> None:
    client = sign_in(people.administrator)
    change(Clone, Clone.name == "pc-2", state=CloneState.STOPPED)
    plan = draining.request_drain(people.administrator, [nodes[0]], Wishes(minutes=0))
    plan_work.go_on(plan_work.due()[0])
    for name in ("pc-1", "pc-2"):
        (move,) = db.session.scalars(select(PlannedMove).where(PlannedMove.clone_name == name))
        change(Clone, Clone.name == name, node_id=move.to_id, state=CloneState.STOPPED)
    plan_work.go_on(plan_work.due()[0])
    assert client.post(f"/nodes/{nodes[0]}/bring-back").status_code == 409
    change(MovePlan, MovePlan.id == plan.id, state=PlanState.DONE, ended_at=now() - timedelta(hours=1))
    change(Node, Node.id == nodes[0], service_state=ServiceState.ENABLED)
    assert "Bring 2 desktops back…" in client.get(f"/nodes/{nodes[0]}").text
    asked = client.get(f"/nodes/{nodes[0]}/bring-back").text
    assert "2 desktops" in asked and asked.count('type="checkbox"') == asked.count("form-switch") == 1
    assert client.post(f"/nodes/{nodes[0]}/bring-back", data={"at_once": "0"}).status_code == 422
    answer = client.post(f"/nodes/{nodes[0]}/bring-back", data={"at_once": "1", "minutes": "5"})
    assert answer.status_code == 303
    plan_work.go_on(plan_work.due()[0])
    page = client.get(answer.location).text
    assert "Desktops back to n1" in page and "Waits for desktops that run until" in page
    change(MovePlan, MovePlan.id == plan.id, note=message("plans.done", count=2))
    page = client.get(f"/nodes/plans/{plan.id}").text
    assert "The node is empty and in maintenance." in page and "Go to n1" in page
    assert sorted(clone(name).state for name in ("pc-1", "pc-2")) == [CloneState.MOVING, CloneState.STOPPED]


def test_a_long_plan_has_pages_and_is_shown_by_state(
    people: People, nodes: list[int], sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = draining.request_drain(people.administrator, [nodes[0]], Wishes(minutes=30))
    change(PlannedMove, PlannedMove.clone_name == "pc-1", state=MoveState.DONE)
    client, address = sign_in(people.administrator), f"/nodes/plans/{plan.id}"
    page = client.get(address).text
    assert page.count('id="move-') == 3 and "?state=done" not in page, "a short one is all in view"
    monkeypatch.setattr(paging.paginate, "__defaults__", (2,))
    page = client.get(address).text
    assert page.count('id="move-') == 2 and "1 of 3 done." in page and "page=2" in page
    assert "?state=done" in page and "?state=stays" not in page
    done = client.get(f"{address}?state=done").text
    assert done.count('id="move-') == 1 and "pc-1" in done and "1 of 3 done." in done
    assert client.get(f"{address}?page=2").text.count('id="move-') == 1
    change(PlannedMove, PlannedMove.clone_name != "pc-1", state=MoveState.STAYS)
    change(MovePlan, state=PlanState.STOPPED, ended_at=now(), note=message("plans.stopped", count=1, names=["pc-2"]))
    change(Node, Node.id == nodes[0], service_state=ServiceState.DISABLED)
    page = client.get(address).text
    assert "1 of 3 done." in page and "drain it again" in page, "what stays is not done"
    assert f"{address}?state=stays" in client.get(f"/nodes/{nodes[0]}").text


def test_long_groups_of_a_drain_are_folded(people: People, nodes: list[int], sign_in: SignIn) -> None:
    client = sign_in(people.administrator)
    page = client.get(f"/nodes/drain?id={nodes[0]}").text
    assert page.count('data-way="') == page.count(" open>") == 3
    request_clones(people.administrator, Request(1, 51, "class", people.user.name))
    change(Clone, Clone.name.startswith("class"), state=CloneState.STOPPED, node_id=nodes[0])
    page = client.get(f"/nodes/drain?id={nodes[0]}").text
    assert page.count('data-way="') == 3 and page.count(" open>") == 2 and "Move (52)" in page


def test_the_planned_hours_begin_when_the_node_is_empty(people: People, nodes: list[int], sign_in: SignIn) -> None:
    plan = draining.request_drain(people.administrator, [nodes[0]], Wishes(minutes=0, hours=2))
    change(Node, maintenance_until=now() - timedelta(hours=1))
    change(Clone, Clone.node_id == nodes[0], node_id=nodes[1], state=CloneState.STOPPED)
    plan_work.go_on([plan.id])
    db.session.rollback()
    node = db.session.get_one(Node, nodes[0])
    assert node.service_state == ServiceState.MAINTENANCE and node.maintenance_until is not None
    assert node.maintenance_until > now() + timedelta(hours=1, minutes=50)
    client = sign_in(people.administrator)
    asked = client.get(f"/nodes/{nodes[0]}/maintenance").text
    assert "Maintenance of n1" in asked and 'value="2"' in asked and 'name="desktops"' not in asked
    since = node.maintenance_since
    data = {"why": "Late", "hours": "5"}
    assert client.post(f"/nodes/{nodes[0]}/maintenance", data=data | {"hours": "-1"}).status_code == 422
    assert client.post(f"/nodes/{nodes[0]}/maintenance", data=data).status_code == 303
    db.session.rollback()
    node = db.session.get_one(Node, nodes[0])
    assert (node.maintenance_why, node.maintenance_since) == ("Late", since)
