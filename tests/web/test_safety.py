"""What holds on every answer: headers, no foreign redirects, markup shown as text, slowed guessing, few queries."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import event, insert, update
from sqlalchemy.exc import OperationalError

from ravada_web.extensions import db, queues
from ravada_web.models import Base, Clone, Event, Node, Operation, User
from ravada_web.services.transaction import transaction
from ravada_web.web.htmx import local_path
from tests.conftest import PASSWORD, People
from tests.web.asking import fragment
from tests.web.conftest import World

SignIn = Callable[[User | str], FlaskClient]
MARKUP = "<script>alert(1)</script>"
PAGES = ["/", "/nodes", "/nodes/{node}", "/bases", "/bases/{base}", "/bases/{base}/base", "/clones", "/clones/{mine}"]
PAGES += ["/nodes/drain?id={node}"]
PAGES += ["/clones/new", "/clones/delete?id={mine}", "/operations", "/nodes/add", "/bases/import", "/nodes/{node}/edit"]


@pytest.mark.parametrize("address", [*PAGES, "/login", "/nowhere", "/static/app.css", "/clones/explode"])
def test_headers_on_every_answer(world: World, people: People, sign_in: SignIn, address: str) -> None:
    answer = sign_in(people.administrator).get(world.path(address))
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    cached = answer.headers["Cache-Control"]
    assert cached == ("no-cache" if address.startswith("/static") else "no-store")


@pytest.mark.parametrize("address", [*PAGES, "/login", "/nowhere"])
def test_no_page_needs_what_the_policy_forbids(world: World, people: People, sign_in: SignIn, address: str) -> None:
    text = sign_in(people.administrator).get(world.path(address), follow_redirects=True).text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:|\[.*\]\"\s+hx-swap", text)
    scripts = re.findall(r"<script\b\s*([^>]*)>", text)
    assert scripts and all(tag.startswith('src="/static/') for tag in scripts)
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert ids and len(ids) == len(set(ids))


def test_static_files_that_carry_their_version_are_kept(client: FlaskClient) -> None:
    address = re.search(r'href="(/static/app.css\?v=[0-9a-f]+)"', client.get("/login").text)
    assert address
    assert "immutable" in client.get(address[1]).headers["Cache-Control"]


def test_vendored_files_have_their_licence_and_name_no_source_map(app: Flask) -> None:
    folders = list((Path(str(app.static_folder)) / "vendor").iterdir())
    assert folders
    for folder in folders:
        assert (folder / "LICENSE").is_file(), folder
        assert all("sourceMappingURL" not in path.read_text() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/nodes?x=1", "/nodes?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("nodes", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_next_is_a_local_path_or_nothing(
    client: FlaskClient, people: People, target: str | None, expected: str
) -> None:
    assert local_path(target) == expected
    form = {"name": "user", "password": PASSWORD, "next": target or ""}
    assert client.post("/login", data=form).location == expected
    assert client.get("/login", query_string={"next": target or ""}).location == expected
    assert client.post("/theme", data={"theme": "dark", "next": target or ""}).location == expected


def test_markup_is_shown_as_text(world: World, people: People, sign_in: SignIn) -> None:
    with transaction() as session:
        session.execute(update(Node).values(reason=MARKUP, user=MARKUP, other_domains=[MARKUP], observed="down"))
        session.execute(update(Base).values(name=MARKUP, description=MARKUP, reason=MARKUP))
        session.execute(update(Clone).where(Clone.id == world.mine).values(name=MARKUP, reason=MARKUP))
        session.execute(update(Operation).values(title=MARKUP, error=MARKUP, message=MARKUP))
        subjects = (("node", world.nodes[1]), ("base", world.base), ("clone", world.mine))
        line = {"actor": MARKUP, "action": MARKUP[:32], "text": MARKUP, "object_name": MARKUP}
        session.add_all(Event(object_kind=kind, object_id=one, **line) for kind, one in subjects)
    client = sign_in(people.administrator)
    shown = 0
    for address in PAGES:
        text = client.get(world.path(address)).text
        assert MARKUP not in text and "<script>" not in text, address
        shown += "&lt;script&gt;" in text
    assert shown >= len(PAGES) - 3


@pytest.mark.parametrize(("theme", "shown"), [("dark", 'data-bs-theme="dark"'), ("auto", None), ("<b>", None)])
def test_the_theme_is_kept_in_a_cookie(client: FlaskClient, theme: str, shown: str | None) -> None:
    client.post("/theme", data={"theme": theme})
    html = client.get("/login").text.split("<head>")[0]
    assert (shown in html) if shown else ("data-bs-theme" not in html)


def test_guessing_is_slowed_for_that_name_alone(app: Flask, client: FlaskClient, people: People) -> None:
    wrong = {"name": "user", "password": "wrong password"}
    answers = [client.post("/login", data=wrong).status_code for _attempt in range(12)]
    assert answers == [422] * 10 + [429] * 2
    assert client.post("/login", data={"name": "other", "password": PASSWORD}).status_code == 303


def test_right_passwords_are_not_counted(client: FlaskClient, people: People) -> None:
    right = {"name": "user", "password": PASSWORD}
    assert {client.post("/login", data=right).status_code for _attempt in range(12)} == {303}


def test_a_locked_database_is_said_so(app: Flask, client: FlaskClient, people: People, sign_in: SignIn) -> None:
    sign_in(people.user)

    def locked(*_arguments: object) -> None:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    event.listen(db.engine, "before_cursor_execute", locked)
    try:
        page = client.get("/")
        g.pop("_login_user")
        part = fragment(client, "/")
    finally:
        event.remove(db.engine, "before_cursor_execute", locked)
    assert (page.status_code, part.status_code) == (503, 503)
    assert "database is busy" in page.text
    assert "database is busy" in part.headers["HX-Trigger"]


def test_without_a_queue_pages_show_and_actions_say_so(world: World, people: People, sign_in: SignIn) -> None:
    client = sign_in(people.administrator)
    queues.connect("unix:///nonexistent/redis.sock")
    for address in PAGES:
        assert client.get(world.path(address)).status_code == 200
    assert 'id="queue-down"' in client.get("/operations").text
    answer = client.post("/clones/start", data={"id": world.mine})
    assert answer.status_code == 503
    assert "temporarily unavailable" in answer.text
    assert db.session.get_one(Clone, world.mine).state == "stopped"


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("address", ["/clones", "/", "/operations", "/nodes", "/bases/{base}/base"])
def test_more_rows_need_no_more_queries(world: World, people: People, sign_in: SignIn, address: str) -> None:
    client, owner, counts = sign_in(people.administrator), people.administrator.id, []
    for numbers in (range(2), range(2, 45)):
        add_rows(world, owner, numbers)
        db.session.expunge_all()
        g.pop("_login_user", None)
        with counted_queries() as seen:
            assert client.get(world.path(address)).text.count("more") >= len(numbers)
        counts.append(len(seen))
    assert counts[0] == counts[1] < 20, address


def add_rows(world: World, owner: int, numbers: range) -> None:
    """One more of everything for each number, the clones one's own."""
    with transaction() as session:
        like = session.get_one(Clone, world.mine)
        node = {"address": "198.51.100.1", "is_master": False, "observed": "up"}
        session.execute(insert(Node), [node | {"name": f"more{n}", "port": n + 1} for n in numbers])
        operation = {"kind": "clones_start", "node_id": like.node_id, "user_id": owner}
        session.execute(insert(Operation), [operation | {"title": f"more{n}"} for n in numbers])
        clone = {"base_id": like.base_id, "version_id": like.version_id, "node_id": like.node_id, "memory_mib": 1}
        clone |= {"owner_id": owner, "state": "stopped"}
        rows = [clone | {"name": f"more-{n}", "uuid": f"00000000-0000-0000-0000-{n:012}"} for n in numbers]
        session.execute(insert(Clone), rows)


def test_what_breaks_is_said_without_its_details(
    app: Flask, people: People, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("the secret detail")

    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    monkeypatch.setattr("ravada_web.services.desktops.cards.page_of", broken)
    client = sign_in(people.user)
    page, part = client.get("/"), fragment(client, "/")
    assert (page.status_code, part.status_code) == (500, 500)
    assert "has been logged" in page.text and "has been logged" in part.headers["HX-Trigger"]
    assert "secret detail" not in page.text
