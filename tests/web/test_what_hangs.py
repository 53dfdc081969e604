"""Redis and the database may hang, and not only be away: a page waits for either a moment, and says what is wrong."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from redis.exceptions import RedisError
from sqlalchemy import select, text

from ravada_web.extensions import db, queues
from ravada_web.models import Node, Role, now
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_nodes, make_user
from tests.support.servers import redis_server
from tests.web.conftest import World


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """The process stopped, as by SIGSTOP, for the block's time."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def hanging_redis(app: Flask, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """The product on a Redis of its own; called, it stands still."""
    socket = tmp_path / "r.sock"
    with redis_server(socket) as process:
        queues.connect(f"unix://{socket}")
        assert queues.redis.ping()
        try:
            yield lambda: os.kill(process.pid, signal.SIGSTOP)
        finally:
            os.kill(process.pid, signal.SIGCONT)


def took(client: FlaskClient, address: str) -> tuple[int, float]:
    """The status of a page and the seconds that it took."""
    g.pop("_login_user", None)
    begun = time.monotonic()
    return client.get(address).status_code, time.monotonic() - begun


PAGES = ("/", "/nodes", "/operations", "/clones", "/workers", "/alerts", "/login", "/readyz")


def test_pages_say_that_redis_does_not_answer_and_go_on(
    world: World, people: People, sign_in: Callable[..., FlaskClient], hanging_redis: Callable[[], None]
) -> None:
    client = sign_in(people.administrator)
    assert "Not responding" not in client.get("/").text
    hanging_redis()
    for address in PAGES[:-1]:
        g.pop("_login_user", None)
        answer = client.get(address)
        assert answer.status_code in (200, 302, 303), address
        if answer.status_code == 200:
            assert "Not responding: redis" in answer.text, address
    answer = client.post("/clones/start", data={"id": world.mine})
    assert answer.status_code == 503 and "temporarily unavailable" in answer.text


def test_whoever_waited_in_vain_spares_the_others_and_later_it_is_asked_again(
    app: Flask, hanging_redis: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging_redis()
    with app.test_request_context():
        with pytest.raises(RedisError, match=r"[Tt]imeout"):
            queues.redis.ping()
        with pytest.raises(RedisError, match="a moment ago"):
            queues.redis.get("anything")
        with pytest.raises(RedisError, match="a moment ago"):
            queues.redis.pipeline().set("a", 1).execute()
        queues._breaker.reset()
        with pytest.raises(RedisError, match=r"[Tt]imeout"):
            queues.redis.pipeline().set("a", 1).execute()


@pytest.mark.clock
def test_redis_that_hangs_costs_a_page_half_a_second_at_most(
    world: World, people: People, sign_in: Callable[..., FlaskClient], hanging_redis: Callable[[], None]
) -> None:
    client = sign_in(people.administrator)
    usual = {address: max(took(client, address)[1] for _time in range(2)) for address in PAGES}
    hanging_redis()
    for address in PAGES:
        queues._breaker.reset()
        assert took(client, address)[1] < usual[address] + 0.5, address
    queues._breaker.reset()
    begun = time.monotonic()
    assert client.post("/login", data={"name": "user", "password": "wrong"}).status_code in (200, 422)
    assert time.monotonic() - begun < 1.0


def signed_in(app: Flask) -> FlaskClient:
    """An administrator's browser."""
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    with client.session_transaction() as session:
        person = make_user("admin", Role.ADMINISTRATOR)
        session["_user_id"], session["_fresh"] = sessions.begin(person, "192.0.2.1", "a test"), True
    db.session.remove()
    return client


def hold_write_lock(held: threading.Event, over: threading.Event, app: Flask) -> None:
    """In a thread of its own: a transaction that ends when it is told to."""
    with app.app_context(), transaction() as session:
        session.execute(select(Node).with_for_update())
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("LOCK TABLE nodes, users, operations IN ACCESS EXCLUSIVE MODE"))
        held.set()
        over.wait(60)


@pytest.fixture
def locked(migrated_app: Flask) -> Iterator[Callable[[], None]]:
    """Called, it has somebody else hold what pages that write need."""
    held, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold_write_lock, args=(held, over, migrated_app))

    def hold() -> None:
        thread.start()
        assert held.wait(30)

    yield hold
    over.set()
    if thread.ident:
        thread.join(30)


@pytest.mark.clock
def test_a_database_that_is_locked_is_said_within_3_s(migrated_app: Flask, locked: Callable[[], None]) -> None:
    (node_id,) = make_nodes(1)
    client = signed_in(migrated_app)
    assert client.get("/nodes").status_code == 200
    db.session.remove()
    locked()
    g.pop("_login_user", None)
    begun = time.monotonic()
    answer = client.post(f"/nodes/{node_id}/disable")
    assert time.monotonic() - begun < 3.0
    assert answer.status_code == 503
    assert "The database is busy" in answer.text


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_whose_server_process_stands_still_is_replaced(migrated_app: Flask) -> None:
    make_nodes(1)
    client = signed_in(migrated_app)
    db.session.remove()
    with db.engine.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    assert isinstance(pid, int)
    with standing_still(pid):
        answer = client.get("/nodes")
        assert answer.status_code == 200 and "n1" in answer.text
        db.session.remove()
        with db.engine.connect() as connection:
            assert connection.scalar(text("SELECT pg_backend_pid()")) != pid


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_statement_whose_server_process_stands_still_is_given_up(migrated_app: Flask) -> None:
    client = signed_in(migrated_app)
    stopped: list[int] = []

    def stop_in_between() -> None:
        stopped.append(db.session.scalar(text("SELECT pg_backend_pid()")) or 0)
        os.kill(stopped[0], signal.SIGSTOP)

    migrated_app.before_request_funcs[None].append(stop_in_between)
    try:
        answer = client.get("/nodes")
    finally:
        migrated_app.before_request_funcs[None].remove(stop_in_between)
        os.kill(stopped[0], signal.SIGCONT)
    assert answer.status_code == 503
    assert "The database is not responding" in answer.text


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_statement_that_takes_too_long_is_ended_by_the_server(migrated_app: Flask) -> None:
    db.engine.dispose()
    with migrated_app.test_request_context(), db.engine.connect() as connection:
        limits = [connection.scalar(text(f"SHOW {name}")) for name in ("statement_timeout", "lock_timeout")]
    assert limits == ["2500ms", "2300ms"]


def test_what_was_seen_too_long_ago_is_unknown_in_rows_and_in_queries_and_placed_on_as_such(
    migrated_app: Flask,
) -> None:
    ids = make_nodes(4)
    with transaction() as session:
        for node_id, seconds, state in zip(ids, (5, 16, 30, 300), ("up", "up", "down", "degraded"), strict=True):
            node = session.get_one(Node, node_id)
            node.observed, node.checked_at = state, now() - timedelta(seconds=seconds)
    db.session.rollback()
    rows = db.session.scalars(select(Node).order_by(Node.id)).all()
    assert [row.observed for row in rows] == ["up", "unknown", "unknown", "unknown"]
    assert db.session.scalars(select(Node.observed).order_by(Node.id)).all() == ["up", "unknown", "unknown", "unknown"]
    assert db.session.scalars(select(Node.id).where(Node.observed == "up")).all() == ids[:1]
    assert [row.is_reachable for row in rows] == [True, False, False, False]
    assert [row.why.kind for row in rows] == ["", *["nodes.overdue"] * 3]
    page = signed_in(migrated_app).get("/nodes").text
    assert "Last checked at" in page and page.count("Unknown") >= 3
