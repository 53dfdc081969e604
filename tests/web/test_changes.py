"""Each change: without JavaScript 303, with HTMX no redirect, and refused to who may not, or who sends no token."""

import json
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ravada_web.extensions import db
from ravada_web.models import Base, BaseState, Clone, CloneState, Node, Operation, ServiceState, Trust, User
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change
from tests.web.asking import fragment
from tests.web.conftest import FINGERPRINT, World, finish

SignIn = Callable[[User | str], FlaskClient]

# address, the least role that may, the form, and where it leads
NODE = {"name": "n8", "address": "192.0.2.8", "port": "22", "user": "root"}
CHANGES = [
    ("/clones/start", "user", {"id": "{mine}"}, "/"),
    ("/clones/shut-down", "user", {"id": "{mine}"}, "/"),
    ("/clones/force-off", "user", {"id": "{mine}"}, "/"),
    ("/clones/restart", "user", {"id": "{mine}"}, "/"),
    ("/clones/delete", "operator", {"id": "{mine}"}, "/clones"),
    ("/desktops/{mine}/launch", "user", {}, "/console/{mine}"),
    ("/desktops/new/{base}", "user", {}, "/console/"),
    (
        "/clones/new",
        "operator",
        {"base_id": "{base}", "count": "3", "prefix": "new", "owner": "user"},
        "/clones?search=new-",
    ),
    ("/operations/retry", "operator", {"id": "{scan}"}, "/operations"),
    ("/operations/cancel", "operator", {"id": "{scan}"}, "/operations"),
    (
        "/nodes/add",
        "administrator",
        {"name": "n8", "address": "192.0.2.8", "port": "22", "user": "root"},
        "/nodes/add/",
    ),
    ("/nodes/add/{scan}", "administrator", {"fingerprint": FINGERPRINT}, "/nodes/4/join"),
    (
        "/nodes/{node}/edit",
        "administrator",
        {
            "name": "n2b",
            "address": "192.0.2.2",
            "port": "22",
            "user": "root",
            "memory_reserve_mib": "0",
            "memory_overcommit": "1.5",
            "builds_at_once": "3",
            "clone_limit": "",
        },
        "/nodes/{node}",
    ),
    ("/nodes/{node}/enable?unproved=yes", "administrator", {}, "/nodes/{node}"),
    ("/nodes/{node}/disable", "administrator", {"choice": "leave"}, "/nodes/{node}"),
    ("/nodes/{node}/remove", "administrator", {}, "/nodes"),
    ("/nodes/{node}/rekey", "administrator", {}, "/nodes/add/"),
    (
        "/bases/import",
        "administrator",
        {"name": "b2", "source": "file", "paths": "/srv/b2.qcow2", "memory_mib": "512", "vcpus": "1"},
        "/bases/import/",
    ),
    ("/bases/{base}/base", "administrator", {"node": "{node}"}, "/bases/{base}/base"),
    ("/bases/{base}/prepare", "administrator", {}, "/bases/{base}"),
    ("/bases/{base}/remove", "administrator", {}, "/bases"),
    ("/first-steps/dismiss", "administrator", {}, "/"),
]
each_change = pytest.mark.parametrize(("address", "least", "form", "leads"), CHANGES, ids=[row[0] for row in CHANGES])
LOWER = [
    (row[0], role, row[2])
    for row in CHANGES
    for role in ("user", "operator", "administrator")[: ("user", "operator", "administrator").index(row[1])]
]


def prepare(world: World, address: str) -> None:
    """Make the state in which the change is possible."""
    with transaction() as session:
        if address == "/operations/retry":
            finish(session.get_one(Operation, world.scan), error="no answer")
        if address == "/operations/cancel":
            session.get_one(Operation, world.scan).state = "waiting"
        if address.endswith("/rekey"):
            session.get_one(Node, world.nodes[1]).trust = Trust.CHANGED
        if address.endswith("/prepare"):
            session.get_one(Base, world.base).state = BaseState.IMPORTED
        if address == "/desktops/new/{base}":
            session.get_one(Base, world.base).offered_to_all = True

        if address.endswith("/remove"):
            for clone in session.query(Clone):
                session.delete(clone)
        if address == "/nodes/{node}/remove":
            session.get_one(Node, world.nodes[1]).observed = "down"


def filled(world: World, form: dict[str, str]) -> dict[str, str]:
    return {name: world.path(value) for name, value in form.items()}


@each_change
def test_without_javascript(
    world: World, people: People, sign_in: SignIn, address: str, least: str, form: dict[str, str], leads: str
) -> None:
    prepare(world, address)
    answer = sign_in(least).post(world.path(address), data=filled(world, form))
    assert answer.status_code == 303, answer.text
    assert answer.location.startswith(world.path(leads))


@each_change
def test_with_htmx_there_is_no_redirect(
    world: World, people: People, sign_in: SignIn, address: str, least: str, form: dict[str, str], leads: str
) -> None:
    prepare(world, address)
    answer = fragment(sign_in(least), world.path(address), method="POST", at="/elsewhere", data=filled(world, form))
    assert answer.status_code == 204, answer.text
    assert answer.headers["HX-Redirect"].startswith(world.path(leads))
    assert "Location" not in answer.headers


@pytest.mark.parametrize(("address", "role", "form"), LOWER)
def test_a_role_without_the_right(
    world: World, people: People, sign_in: SignIn, address: str, role: str, form: dict[str, str]
) -> None:
    prepare(world, address)
    before = db.session.query(Operation).count()
    client = sign_in(role)
    assert client.post(world.path(address), data=filled(world, form)).status_code == 403
    part = fragment(client, world.path(address), method="POST", data=filled(world, form))
    assert (part.status_code, part.headers["HX-Reswap"]) == (403, "none")
    assert db.session.query(Operation).count() == before


@each_change
def test_nobody(world: World, client: FlaskClient, address: str, least: str, form: dict[str, str], leads: str) -> None:
    before = db.session.query(Operation).count()
    assert client.post(world.path(address), data=filled(world, form)).location == "/login"
    assert fragment(client, world.path(address), method="POST").status_code == 401
    assert db.session.query(Operation).count() == before


@each_change
def test_a_request_without_our_token_is_refused(
    app: Flask,
    world: World,
    people: People,
    sign_in: SignIn,
    address: str,
    least: str,
    form: dict[str, str],
    leads: str,
) -> None:
    client = sign_in(people.administrator)
    app.config["WTF_CSRF_ENABLED"] = True
    answer = client.post(world.path(address), data=filled(world, form))
    assert answer.status_code == 400
    assert "form has expired" in answer.text


def test_the_token_in_a_header_is_enough(app: Flask, world: World, people: People, sign_in: SignIn) -> None:
    client = sign_in(people.user)
    app.config["WTF_CSRF_ENABLED"] = True
    token = client.get("/").text.split('name="csrf-token" content="')[1].split('"')[0]
    answer = client.post("/clones/start", data={"id": world.mine}, headers={"X-CSRFToken": token})
    assert answer.status_code == 303


@pytest.mark.parametrize("action", ["start", "shut-down", "restart", "force-off", "delete"])
def test_another_users_clone_cannot_be_touched(world: World, people: People, sign_in: SignIn, action: str) -> None:
    answer = sign_in(people.user).post(f"/clones/{action}", data={"id": [world.mine, world.foreign]})
    assert answer.status_code == 404
    db.session.rollback()
    assert {clone.state for clone in db.session.query(Clone)} == {CloneState.STOPPED}


def test_on_the_same_page_the_answer_is_a_toast_and_a_refresh(world: World, people: People, sign_in: SignIn) -> None:
    form = {"id": world.mine, "next": "/clones?search=mine"}
    answer = fragment(sign_in("operator"), "/clones/start", method="POST", at="/clones?search=mine", data=form)
    assert answer.status_code == 204
    assert "HX-Redirect" not in answer.headers
    events = json.loads(answer.headers["HX-Trigger"])
    assert events["toast"] == {"text": "1 desktop is starting.", "kind": "success"}
    assert "refresh" in events


def test_disabling_can_shut_down_what_runs_there(world: World, people: People, sign_in: SignIn) -> None:
    with transaction() as session:
        clone = session.get_one(Clone, world.mine)
        clone.state, node = CloneState.RUNNING, clone.node_id
    sign_in(people.administrator).post(f"/nodes/{node}/disable", data={"choice": "shut_down"})
    assert db.session.get_one(Node, node).service_state == ServiceState.DISABLED
    assert db.session.get_one(Clone, world.mine).state == CloneState.STOPPING


def test_a_conflict_leaves_the_page_and_says_why(world: World, people: People, sign_in: SignIn) -> None:
    with transaction() as session:
        node = session.get_one(Clone, world.mine).node
        node.observed, node.reason = "down", "SSH does not answer."
    answer = fragment(sign_in(people.user), "/clones/start", method="POST", data={"id": world.mine})
    assert (answer.status_code, answer.headers["HX-Reswap"]) == (409, "none")
    assert "n1 is not responding" in json.loads(answer.headers["HX-Trigger"])["toast"]["text"]


def test_unticking_all_nodes_is_possible_and_said(world: World, people: People, sign_in: SignIn) -> None:
    client = sign_in(people.administrator)
    client.post(f"/bases/{world.base}/base", data={})
    assert "No desktops can be created from it" in client.get(f"/bases/{world.base}/base").text


def test_of_a_selection_what_can_be_done_is_done_and_the_rest_is_named(world: World, sign_in: SignIn) -> None:
    change(Clone, Clone.id == world.foreign, state=CloneState.CREATING)
    client, both = sign_in("operator"), [world.mine, world.foreign, 999]
    answer = fragment(client, "/clones/start", method="POST", at="/clones", data={"id": both, "next": "/clones"})
    assert answer.status_code == 204
    assert json.loads(answer.headers["HX-Trigger"])["toast"] == {
        "text": "Starting 1 of 3; 2 skipped.\nforeign-1: Not possible while being created.\n#999: No longer exists.",
        "kind": "warning",
    }
    # Without JavaScript the page says the same.
    change(Clone, Clone.id == world.mine, state=CloneState.STOPPED)
    assert client.post("/clones/start", data={"id": both, "next": "/clones"}).status_code == 303
    assert "foreign-1: Not possible while being created." in client.get("/clones").text


def test_the_question_says_who_is_skipped_and_asks_about_the_others_alone(world: World, sign_in: SignIn) -> None:
    change(Clone, Clone.id == world.foreign, state=CloneState.CREATING)
    client = sign_in("operator")
    text = client.get(f"/clones/delete?id={world.mine}&id={world.foreign}").text
    assert "Delete 1 of 2 desktops?" in text
    assert "1 is skipped:" in text and "foreign-1: Not possible while being created." in text
    assert f'name="id" value="{world.mine}"' in text and f'name="id" value="{world.foreign}"' not in text
    # It can be deleted by then, but nobody has agreed to that.
    change(Clone, Clone.id == world.foreign, state=CloneState.STOPPED)
    answer = fragment(client, "/clones/delete", method="POST", at="/", data={"id": world.mine, "left": 1, "next": "/"})
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["text"] == "Deleting 1 of 2; 1 skipped."
    assert db.session.get_one(Clone, world.foreign).state == CloneState.STOPPED


def test_a_question_about_what_cannot_be_done_now_says_so(world: World, sign_in: SignIn) -> None:
    change(Clone, state=CloneState.CREATING)
    text = sign_in("operator").get(f"/clones/start?id={world.mine}").text
    assert "Start mine-1?" in text and "mine-1: Not possible while being created." in text
