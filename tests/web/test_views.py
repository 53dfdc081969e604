"""Each view that shows something, three times: as a page, as a fragment, and to who may not see it."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ravada_web.models import User
from tests.conftest import People
from tests.web.asking import FULL, fragment, is_page
from tests.web.conftest import World

SignIn = Callable[[User | str], FlaskClient]

# address, the least role that sees it, and a text that is in it
VIEWS = [
    ("/", "user", "mine-1"),
    ("/clones/{mine}", "user", 'id="clone"'),
    ("/clones/shut-down?id={mine}", "user", 'action="/clones/shut-down"'),
    ("/clones/force-off?id={mine}", "user", 'action="/clones/force-off"'),
    ("/clones/start?id={mine}", "user", 'action="/clones/start"'),
    ("/clones/restart?id={mine}", "user", 'action="/clones/restart"'),
    ("/clones", "operator", "foreign-1"),
    ("/clones?search=mine&state=stopped", "operator", "mine-1"),
    ("/clones/new", "operator", 'id="new-clones"'),
    ("/clones/delete?id={mine}&id={foreign}", "operator", 'action="/clones/delete"'),
    ("/nodes", "operator", "n2"),
    ("/nodes/{node}", "operator", "192.0.2.2"),
    ("/bases", "operator", "linux"),
    ("/bases/{base}", "operator", 'id="disks"'),
    ("/bases/{base}/base", "operator", 'id="tab-node-{node}"'),
    ("/operations", "operator", "Read host key of n9"),
    ("/operations/badge", "operator", ""),
    ("/first-steps", "administrator", 'id="first-steps"'),
    ("/nodes/add", "administrator", 'id="add-node"'),
    ("/nodes/add/{scan}", "administrator", "SHA256:mVPwvezndPv"),
    ("/nodes/{node}/edit", "administrator", 'id="edit-node"'),
    ("/nodes/{node}/disable", "administrator", 'value="leave"'),
    ("/nodes/{node}/remove", "administrator", 'action="/nodes/{node}/remove"'),
    ("/bases/import", "administrator", 'id="import"'),
    ("/bases/{base}/remove", "administrator", 'action="/bases/{base}/remove"'),
]
ROLES = ("user", "operator", "administrator")
each_view = pytest.mark.parametrize(("address", "least", "text"), VIEWS, ids=[view[0] for view in VIEWS])


@each_view
def test_as_a_page(world: World, people: People, sign_in: SignIn, address: str, least: str, text: str) -> None:
    answer = sign_in(least).get(world.path(address))
    assert answer.status_code == 200
    assert is_page(answer)
    assert answer.text.count("<h1") == 1
    assert "<title>" in answer.text and 'id="main"' in answer.text
    assert world.path(text) in answer.text


@each_view
def test_as_a_fragment(world: World, people: People, sign_in: SignIn, address: str, least: str, text: str) -> None:
    answer = fragment(sign_in(least), world.path(address))
    assert answer.status_code == 200
    assert not is_page(answer) and "<body" not in answer.text
    assert world.path(text) in answer.text
    assert "HX-Request" in answer.headers["Vary"]


@each_view
def test_htmx_gets_the_page_when_it_asks_for_all_of_it(
    world: World, people: People, sign_in: SignIn, address: str, least: str, text: str
) -> None:
    assert is_page(sign_in(least).get(world.path(address), headers=FULL))


@each_view
def test_nobody_is_led_to_the_sign_in(world: World, client: FlaskClient, address: str, least: str, text: str) -> None:
    page = client.get(world.path(address))
    assert page.status_code == 303
    assert page.location.startswith("/login")
    part = fragment(client, world.path(address), at="/nodes?x=1")
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/login?next=/nodes?x%3D1")
    assert part.text == ""


LOWER = [(view[0], role) for view in VIEWS for role in ROLES[: ROLES.index(view[1])]]


@pytest.mark.parametrize(("address", "role"), LOWER)
def test_a_role_without_the_right(world: World, people: People, sign_in: SignIn, address: str, role: str) -> None:
    client = sign_in(role)
    # A user asks about the own and a foreign clone in one go: that one does not exist for them.
    expected = 404 if "{foreign}" in address else 403
    page = client.get(world.path(address))
    assert page.status_code == expected
    assert is_page(page)
    part = fragment(client, world.path(address))
    assert part.status_code == expected
    assert (part.text, part.headers["HX-Reswap"]) == ("", "none")
    assert "toast" in part.headers["HX-Trigger"]


@pytest.mark.parametrize(
    "address", ["/clones/{foreign}", "/clones/start?id={foreign}", "/clones/force-off?id={foreign}"]
)
def test_another_users_clone_does_not_exist(world: World, people: People, sign_in: SignIn, address: str) -> None:
    answer = sign_in(people.user).get(world.path(address))
    assert answer.status_code == 404
    assert "foreign-1" not in answer.text


@pytest.mark.parametrize(
    "address",
    ["/nodes/99", "/bases/99", "/clones/99", "/nodes/add/99", "/bases/import/{scan}", "/nowhere", "/clones/explode"],
)
def test_what_does_not_exist(world: World, people: People, sign_in: SignIn, address: str) -> None:
    answer = sign_in(people.administrator).get(world.path(address))
    assert answer.status_code == 404
    assert is_page(answer)


def test_a_user_sees_only_the_own_desktops(world: World, people: People, sign_in: SignIn) -> None:
    text = sign_in(people.user).get("/").text
    assert "mine-1" in text
    assert "foreign-1" not in text
    assert "/nodes" not in text
