"""Every page and every form of it, with what nobody types by accident: an answer below 500 on either database.

The addresses come from the application's routes, the fields from the pages' own forms and filters.
"""

from collections.abc import Callable
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from ravada_web.models import User
from tests.conftest import People
from tests.web.conftest import World
from tests.web.url_table import TABLE

SignInAs = Callable[[User | str], FlaskClient]
HOSTILE = {
    "a NUL": "a\0b",
    "too long": "x" * 3000,
    "too large": "9" * 30,
    "beyond 32 bits": str(2**31),
    "beyond 64 bits": str(2**63),
    "negative": "-1",
    "no number": "NaN",
    "markup": "<script>alert(1)</script>\"'{{7*7}}",
    "right to left": "\u202eadmin\u2066",
    "a surrogate": "a\ud800b",
    "a pattern": "%_\\",
    "no day": "2026-99-99",
    "the last day": "9999-12-31",
    "lines": "a\r\nSet-Cookie: b=c",
}
TEXTS = {"text", "search", "number", "date", "email", "password", "url", ""}


class Fields(HTMLParser):
    """The forms of a page: method, address, and each field's name with its value, None where one types."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, str, dict[str, str | None]]] = []
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((said.get("method", "get").upper(), said.get("action", ""), {}))
        elif self.forms and (name := said.get("name")):
            kind = said.get("type", "")
            typed = tag in ("textarea", "select") or (tag == "input" and kind in TEXTS)
            self.forms[-1][2][name] = None if typed else said.get("value", "on")


@pytest.fixture
def app(migrated_app: Flask) -> Flask:
    return migrated_app


def status(client: FlaskClient, method: str, address: str, fields: dict[str, str]) -> int:
    g.pop("_login_user", None)
    body = urlencode(fields, errors="surrogatepass")
    if method == "GET":
        return client.get(f"{address.partition('?')[0]}?{body}").status_code
    return client.post(address, data=body, content_type="application/x-www-form-urlencoded").status_code


def ask(client: FlaskClient, page: str) -> list[tuple[str, int]]:
    """Fill in all forms of a page in every hostile way. What was sent, and the status of the answer."""
    g.pop("_login_user", None)
    got = []
    for method, action, fields in Fields(client.get(page).text).forms:
        if any(value is None for value in fields.values()):
            for what, text in HOSTILE.items():
                filled = {name: text if value is None else value for name, value in fields.items()}
                got.append((f"{method} {action or page}, {what}", status(client, method, action or page, filled)))
    return got


def test_no_text_breaks_a_page(
    world: World, people: People, sign_in: SignInAs, objects: dict[str, dict[str, int | str]]
) -> None:
    patterns = [route.removeprefix("GET ") for route in TABLE if route.startswith("GET ")]
    got = ask(sign_in("administrator").application.test_client(), "/login")
    for pattern in patterns:
        got += ask(sign_in("administrator"), pattern.format(**objects["own"]))
    assert len({sent.partition(",")[0] for sent, _status in got}) >= 17
    assert [(sent, answer) for sent, answer in got if answer >= 500] == []


@pytest.mark.parametrize("number", [2**31, 2**63, 10**30])
def test_no_number_breaks_an_address(
    world: World, people: People, sign_in: SignInAs, objects: dict[str, dict[str, int | str]], number: int
) -> None:
    client = sign_in("administrator")
    for route in TABLE:
        method, pattern = route.split(" ", 1)
        ids = {name: number if name.endswith("_id") else value for name, value in objects["own"].items()}
        if pattern.format(**ids) != pattern.format(**objects["own"]):
            assert status(client, method, pattern.format(**ids), {}) in (404, 405), route
