"""“My desktops”: the cards and their buttons, offers, searching, what is said when something is in the way."""

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.messages import NOTHING, message
from ravada_web.models import (
    Away,
    Base,
    Clone,
    CloneCopy,
    CloneState,
    Decision,
    Node,
    Observed,
    Operation,
    Pool,
    Trust,
    User,
    now,
)
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.requests import Request
from ravada_web.services.consoles import screenshots
from ravada_web.services.transaction import transaction
from ravada_web.web.filters import ago
from tests.conftest import People
from tests.support.factories import change
from tests.web.asking import fragment, is_page
from tests.web.conftest import World

SignIn = Callable[[User | str], FlaskClient]


def test_a_desktop_that_is_off_has_one_button(world: World, sign_in: SignIn) -> None:
    text = sign_in("user").get("/").text
    assert f'action="/desktops/{world.mine}/launch"' in text
    assert 'aria-label="Launch mine-1"' in text
    assert text.count("btn-primary") == 1
    for action in ("shut-down", "restart", "force-off", "delete"):
        assert f"/clones/{action}?" not in text


def test_one_that_runs_is_opened_and_has_the_rest_in_its_menu(world: World, sign_in: SignIn) -> None:
    change(Clone, state=CloneState.RUNNING)
    text = sign_in("user").get("/").text
    assert f'href="/console/{world.mine}" aria-label="Open mine-1"' in text
    assert f"/clones/restart?id={world.mine}" in text
    assert f"/clones/force-off?id={world.mine}" in text
    assert 'action="/clones/shut-down"' in text
    assert "/launch" not in text and "/clones/delete" not in text


def test_a_volatile_one_is_asked_about_before_it_shuts_down(world: World, sign_in: SignIn) -> None:
    change(Clone, state=CloneState.RUNNING, volatile=True)
    text = sign_in("user").get("/").text
    assert "Deleted on shutdown" in text
    assert f"/clones/shut-down?id={world.mine}" in text
    assert 'action="/clones/shut-down"' not in text


def test_its_user_may_delete_it_where_the_base_says_so(world: World, sign_in: SignIn) -> None:
    client = sign_in("user")
    assert client.post("/clones/delete", data={"id": world.mine}).status_code == 403
    change(Base, users_may_delete=True)
    for address in ("/", f"/clones/{world.mine}"):
        assert f"/clones/delete?id={world.mine}" in client.get(address).text
    assert client.post("/clones/delete", data={"id": world.foreign}).status_code == 404
    assert client.post("/clones/delete", data={"id": [world.mine, world.foreign]}).status_code == 404
    assert client.post("/clones/delete", data={"id": world.mine}).status_code == 303
    db.session.rollback()
    states = dict(db.session.execute(select(Clone.id, Clone.state)).all())
    assert states == {world.mine: CloneState.DELETING, world.foreign: CloneState.STOPPED}


def test_the_picture_of_a_screen_is_fetched_when_it_is_looked_at(world: World, sign_in: SignIn) -> None:
    screenshots.store(world.mine, b"webp")
    client = sign_in("user")
    assert "<img" not in client.get("/").text.split('id="desktops"')[1]
    change(Clone, state=CloneState.RUNNING)
    picture = re.search(r'<img src="(/desktops/\d+/picture\?v=\d+)" alt="([^"]+)" loading="lazy"', client.get("/").text)
    assert picture
    assert picture[2] == "Screen of mine-1"
    assert client.get(picture[1]).status_code == 200


def test_the_steps_of_a_start(world: World, sign_in: SignIn) -> None:
    client = sign_in("user")
    answer = fragment(client, f"/desktops/{world.mine}/launch", method="POST")
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"/console/{world.mine}")
    current = re.compile(r'<li class="is-now" data-step="(\d)" aria-current="step">')
    assert current.findall(fragment(client, "/").text) == ["0"]
    change(Operation, state="running")
    assert current.findall(fragment(client, "/").text) == ["1"]
    assert f'href="/console/{world.mine}"' in client.get("/").text
    change(Clone, state=CloneState.RUNNING)
    assert current.findall(fragment(client, "/").text) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"observed": Observed.DOWN, "reason": "n1 did not answer"}, "The host is not responding"),
        ({"trust": Trust.CHANGED}, "The host is locked until your administrator has verified"),
        ({"service_state": "draining"}, "The host is out of service"),
    ],
)
def test_what_is_in_the_way_is_said_and_nothing_can_be_pressed(
    world: World, sign_in: SignIn, values: dict[str, object], words: str
) -> None:
    change(Node, **values)
    client = sign_in("user")
    text = client.get("/").text
    assert words in text
    assert "n1 did not answer" not in text
    assert "/launch" not in text and "disabled>" in text
    assert words in client.get(f"/clones/{world.mine}").text
    answer = fragment(client, f"/desktops/{world.mine}/launch", method="POST")
    assert answer.status_code == 409
    assert words in json.loads(answer.headers["HX-Trigger"])["toast"]["text"]
    page = client.post(f"/desktops/{world.mine}/launch")
    assert page.status_code == 409
    assert is_page(page) and words in page.text


@pytest.mark.parametrize(
    ("table", "values", "words", "for_administrators"),
    [
        (Node, {"memory_free_mib": 10}, "The host is out of memory", "the node is out of memory"),
        (Pool, {"free_mib": 10}, "The host is out of disk space", "the node’s disk is full"),
    ],
)
def test_a_full_node_is_said_to_be_full_of_what_and_may_be_tried_again(
    world: World, sign_in: SignIn, table: type, values: dict[str, object], words: str, for_administrators: str
) -> None:
    change(table, **values)
    client = sign_in("user")
    for address in ("/", f"/clones/{world.mine}"):
        text = client.get(address).text
        assert words in text
        assert f'action="/desktops/{world.mine}/launch"' in text
    refused = client.post(f"/desktops/{world.mine}/launch")
    assert refused.status_code == 409 and words in refused.text
    text = sign_in("administrator").get(f"/clones/{world.mine}").text
    assert for_administrators in text and words not in text


def test_a_start_that_failed_and_one_that_is_broken(world: World, sign_in: SignIn) -> None:
    change(Clone, reason="the monitor was closed")
    client = sign_in("user")
    text = client.get("/").text
    assert "The last start failed" in text and "<q>the monitor was closed</q>" in text
    change(Clone, state=CloneState.FAILED)
    text = client.get("/").text
    assert "Please show this message to your administrator" in text and "/launch" not in text


def test_another_users_desktop_cannot_be_launched(world: World, sign_in: SignIn) -> None:
    client = sign_in("user")
    assert client.post(f"/desktops/{world.foreign}/launch").status_code == 404
    assert client.post("/desktops/99/launch").status_code == 404


def test_an_offer_is_taken_up_with_one_click(world: World, people: People, sign_in: SignIn) -> None:
    client = sign_in("operator")
    assert "Create and launch" not in client.get("/").text
    assert client.post(f"/desktops/new/{world.base}").status_code == 404
    change(Base, offered_to_all=True, offers_volatile=True, description="For the course")
    text = client.get("/").text
    assert "You have no desktops yet" not in text
    assert f'action="/desktops/new/{world.base}"' in text
    assert "For the course" in text and "Deleted on shutdown" in text
    answer = client.post(f"/desktops/new/{world.base}")
    made = db.session.scalars(select(Clone).where(Clone.owner_id == people.operator.id)).one()
    assert (answer.status_code, answer.location) == (303, f"/console/{made.id}")
    assert made.name == "linux-operator-1" and made.volatile
    text = client.get("/").text
    assert "Create and launch" not in text and "linux-operator-1" in text
    assert client.post(f"/desktops/new/{world.base}").location == f"/console/{made.id}"


def test_nothing_at_all(people: People, sign_in: SignIn) -> None:
    text = sign_in("user").get("/").text
    assert "You have no desktops yet" in text
    assert 'type="search"' not in text


def test_many_are_searched_and_come_in_pages(world: World, people: People, sign_in: SignIn) -> None:
    clone_requests.request_clones(people.administrator, Request(world.base, 70, "pc", people.user.name))
    client = sign_in("user")
    text = client.get("/").text
    assert 'type="search"' in text and "page 1 of 2" in text
    assert "pc-70" in client.get("/?page=2").text
    found = client.get("/?search=pc-70").text
    assert "pc-70" in found and "pc-69" not in found and 'value="pc-70"' in found
    assert 'data-state="no-results"' in client.get("/?search=none").text
    assert 'data-state="no-results"' in fragment(client, "/?search=none").text


def test_an_owners_own_page_has_the_same_buttons(world: World, sign_in: SignIn) -> None:
    client = sign_in("user")
    address = f"/clones/{world.mine}"
    assert f'action="/desktops/{world.mine}/launch"' in client.get(address).text
    change(Clone, state=CloneState.RUNNING)
    text = client.get(address).text
    assert f'href="/console/{world.mine}"' in text and f"/clones/restart?id={world.mine}" in text
    change(Clone, state=CloneState.STOPPED)
    assert 'action="/clones/start"' in sign_in("operator").get(address).text


def test_a_restart_is_asked_about_first(world: World, sign_in: SignIn) -> None:
    change(Clone, state=CloneState.RUNNING, volatile=True)
    client = sign_in("user")
    question = client.get(f"/clones/restart?id={world.mine}").text
    assert "Restart mine-1?" in question and "Anyone using it is interrupted" in question
    assert client.post("/clones/restart", data={"id": world.mine}).status_code == 303
    assert "Restarting" in client.get("/").text
    assert "Restart…" in sign_in("operator").get("/clones").text


def test_the_first_steps_are_an_administrators(world: World, sign_in: SignIn) -> None:
    change(Base, state="imported")
    assert 'id="first-steps-title"' not in sign_in("operator").get("/").text
    client = sign_in("administrator")
    text = client.get("/").text
    assert 'id="first-steps-title"' in text
    assert f'href="/bases/{world.base}">' in text
    change(Base, state="ready")
    assert 'id="first-steps-title"' not in client.get("/").text
    part = fragment(client, "/first-steps", at="/")
    assert "Add a node" not in part.text and 'id="first-steps"' in part.text


def test_without_nodes_they_are_on_the_page_of_nodes_too(people: People, sign_in: SignIn) -> None:
    client = sign_in("administrator")
    assert 'aria-current="step"' in client.get("/nodes").text
    assert "Import a base</a>" not in client.get("/nodes").text


def test_they_can_be_put_away_and_looked_up_again(people: People, sign_in: SignIn) -> None:
    client = sign_in("administrator")
    answer = client.post("/first-steps/dismiss", data={"next": "/nodes"})
    assert (answer.status_code, answer.location) == (303, "/nodes")
    text = client.get("/").text
    assert 'id="first-steps-title"' not in text
    assert "again at /first-steps." in text
    assert "Add a node" not in fragment(client, "/first-steps", at="/").text
    assert 'id="first-steps-title"' in client.get("/first-steps").text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "just now"),
        (4, "4 s ago"),
        (59, "59 s ago"),
        (200, "3 min ago"),
        (7300, "2 h ago"),
        (5 * 86400 + 9, "5 d ago"),
        (-1, "just now"),
    ],
)
def test_how_long_ago(people: People, seconds: float, words: str) -> None:
    moment = now() - timedelta(seconds=seconds)
    text = ago(moment)
    assert text.endswith(f">{words}</time>")
    assert f'datetime="{moment.isoformat()}"' in text
    assert "UTC" in text


def test_how_long_ago_a_moment_in_the_future_was_is_unknown(people: People) -> None:
    assert ">unknown</span>" in ago(now() + timedelta(hours=1))


def test_the_screen_of_a_paused_one_says_so_and_resumes_it(world: World, sign_in: SignIn) -> None:
    client = sign_in("user")
    change(Clone, Clone.id == world.mine, state=CloneState.RUNNING)
    assert 'data-state="paused"' not in client.get(f"/console/{world.mine}").text
    change(Clone, Clone.id == world.mine, state=CloneState.PAUSED)
    text = client.get(f"/console/{world.mine}").text
    assert text.count('data-state="paused"') == 2 and "Resume" in text and "Paused" in text
    client.post(f"/desktops/{world.mine}/launch")
    assert db.session.get_one(Clone, world.mine).state == CloneState.STARTING


def test_a_persistent_one_says_what_copies_there_are_and_how_old(world: World, sign_in: SignIn) -> None:
    client = sign_in("user")
    assert "None: it exists on its host alone" in client.get(f"/clones/{world.mine}").text
    with transaction() as session:
        made = {"clone_id": world.mine, "node_id": world.nodes[1]}
        session.add_all(CloneCopy(**made, made_at=now() - timedelta(hours=age)) for age in (5, 2))
    text = client.get(f"/clones/{world.mine}").text
    assert text.index("2 h ago</time>") < text.index("5 h ago</time>")
    change(Clone, volatile=True)
    assert "Copies elsewhere" not in client.get(f"/clones/{world.mine}").text


def test_one_that_is_made_again_says_so_before_and_after(world: World, sign_in: SignIn) -> None:
    client, why = sign_in("user"), message("clones.being_made_again", node="n1")
    change(Clone, state=CloneState.UNREACHABLE, volatile=True, reason=why)
    change(Node, observed=Observed.DOWN, away=Away.SILENT)
    for address in ("/", f"/clones/{world.mine}", f"/console/{world.mine}"):
        assert "Host n1 failed. This desktop is being made again" in client.get(address).text, address
    assert "Your data is safe" not in client.get(f"/console/{world.mine}").text.split('id="console-card"')[1]
    change(Node, observed=Observed.UP, away=Away.NONE)
    change(Clone, state=CloneState.RUNNING, reason=NOTHING)
    change(Decision, why=message("clones.made_again", node="n1", died_at=now()))
    for address in ("/", f"/clones/{world.mine}", f"/console/{world.mine}"):
        assert "Made again on another host because host n1 failed" in client.get(address).text, address
