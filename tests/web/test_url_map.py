"""Every route, asked by nobody, a user, an operator and an administrator, with one's own object and a foreign one.

What is expected stands in url_table.py. The routes come from the application itself: one that has no row there fails,
and so does a row whose route is gone.
"""

import re
from collections.abc import Callable

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from ravada_web.models import Base, User
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_group, make_operation
from tests.web.conftest import World
from tests.web.url_table import TABLE

SignInAs = Callable[[User | str], FlaskClient]
# Who asks, and whose objects are named.
ASKERS = (
    ("nobody", "own"),
    ("user", "own"),
    ("user", "foreign"),
    ("operator", "foreign"),
    ("administrator", "foreign"),
)


@pytest.fixture
def objects(world: World, people: People) -> dict[str, dict[str, int | str]]:
    """For each name in an address, the id of the user's own object and of a foreign one."""
    with transaction() as session:
        mine = make_operation("viewer_offer", user_id=people.user.id, params={"clone_id": world.mine})
        theirs = make_operation("viewer_offer", user_id=people.other.id, params={"clone_id": world.foreign})
        group = make_group()
        session.get_one(Base, world.base).users_may_refuse = True
        operations, group_id = (mine.id, theirs.id), group.id
    found = {
        user.name: sessions.find(sessions.begin(user, "192.0.2.1", "a test")) for user in (people.user, people.other)
    }
    rows = {name: row.id for name, row in found.items() if row is not None}
    common: dict[str, int | str] = {
        "node_id": world.nodes[1],
        "pool_id": world.nodes[1],
        "base_id": world.base,
        "group_id": group_id,
    }
    common |= {"action": "start", "filename": "app.css", "key": "nothing"}
    own = {"clone_id": world.mine, "operation_id": operations[0], "sign_in_id": rows["user"], "user_id": people.user.id}
    foreign = {"clone_id": world.foreign, "operation_id": operations[1]}
    foreign |= {"sign_in_id": rows["other"], "user_id": people.other.id}
    return {"own": common | own, "foreign": common | foreign}


def routes(app: Flask) -> set[str]:
    """Every method and pattern of the application's own pages; rq-dashboard's are tested by themselves."""
    found = set()
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/ops/rq"):
            continue
        pattern = re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule.rule)
        found |= {f"{method} {pattern}" for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    return found


def answer(client: FlaskClient, method: str, address: str, chosen: int | str) -> str:
    """The status, or "sign in" where the answer leads there; `chosen` is the id of a form that acts on a selection."""
    g.pop("_login_user", None)
    more = {"query_string": {"id": chosen}} if method == "GET" else {"data": {"id": chosen}}
    said = client.open(address, method=method, **more)
    leads = said.headers.get("Location", "")
    return (
        "sign in"
        if (said.status_code == 303 and leads.startswith("/login?")) or leads == "/login"
        else str(said.status_code)
    )


def ask_all(
    route: str, client: FlaskClient, sign_in: SignInAs, objects: dict[str, dict[str, int | str]], people: People
) -> list[str]:
    method, pattern = route.split(" ", 1)
    said = []
    for who, whose in ASKERS:
        if who == "nobody":
            client.delete_cookie("session")
        else:
            sign_in(who)
        chosen = objects[whose]["operation_id" if "/operations" in pattern else "clone_id"]
        said.append(answer(client, method, pattern.format(**objects[whose]), chosen))
    return said


@pytest.mark.parametrize("route", sorted(TABLE))
def test_every_route_answers_everybody_as_the_table_says(
    route: str,
    client: FlaskClient,
    sign_in: SignInAs,
    objects: dict[str, dict[str, int | str]],
    people: People,
) -> None:
    assert ask_all(route, client, sign_in, objects, people) == [word.strip() for word in TABLE[route].split("|")]


def test_the_table_is_whole(app: Flask) -> None:
    assert routes(app) == set(TABLE)
