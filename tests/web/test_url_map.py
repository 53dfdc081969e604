"""Every route, asked by nobody, a user, an operator and an administrator, with one's own object and a foreign one.

What is expected stands in url_table.py. The routes come from the application itself: one that has no row there fails,
and so does a row whose route is gone.
"""

import re
from collections.abc import Callable

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from ravada_web.models import User
from tests.conftest import People
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


def routes(app: Flask) -> set[str]:
    """Every method and pattern of the application's pages."""
    found = set()
    for rule in app.url_map.iter_rules():
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
