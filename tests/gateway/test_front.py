"""The one port: pages pass through as they are, whole or not at all, and nobody slips another request in."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from ravada_web.extensions import db
from ravada_web.models import Event
from tests.support.house import PASSWORD, House


@contextmanager
def browser(house: House) -> Iterator[http.client.HTTPConnection]:
    """A connection that is kept for several requests."""
    with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)) as connection:
        yield connection


def raw(house: House, request: bytes) -> bytes:
    """All that comes back for these very bytes."""
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as plug:
        plug.sendall(request)
        plug.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: plug.recv(65536), b""))


def test_one_connection_serves_page_after_page(house: House) -> None:
    with browser(house) as connection:
        plugs = set()
        for path in ("/login", "/static/app.css", "/login", "/nowhere"):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert len(answer.read()) == int(answer.headers["Content-Length"])
            plugs.add(connection.sock)
        assert len(plugs) == 1 and None not in plugs


def test_a_form_is_passed_on_with_its_body(house: House) -> None:
    house.sign_in("alice")
    with browser(house) as connection:
        connection.request("GET", "/login")
        page = connection.getresponse()
        token = page.read().decode().split('name="csrf-token" content="')[1].split('"')[0]
        cookie = page.headers["Set-Cookie"].split(";")[0]
        body = f"csrf_token={token}&name=alice&password={PASSWORD.replace(' ', '+')}"
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
        connection.request("POST", "/login", body, headers | {"X-Forwarded-For": "203.0.113.66"})
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.headers["Location"]) == (303, "/")
    db.session.rollback()
    event = db.session.query(Event).filter_by(action="sign_in", object_name="alice").order_by(Event.id.desc()).first()
    assert event is not None and event.address == "127.0.0.1"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 30\r\n\r\nabc", 400),
        ("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc", 400),
        ("GET /login HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400),
        ("GET /login HTTP/1.1\r\nHost: x\r\nA: b\nX-Injected: c\r\n\r\n", 400),
        ("hello\r\n\r\n", 400),
        ("GET /login HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        ("GET /login HTTP/1.1\r\nHost: x\r\nLong: " + "a" * 40_000 + "\r\n\r\n", 431),
        ("GET /console/stream HTTP/1.1\r\nHost: x\r\n\r\n", 403),
        ("GET /live?topics=desktops HTTP/1.1\r\nHost: x\r\n\r\n", 401),
    ],
)
def test_what_is_no_clear_request_is_refused(house: House, head: str, status: int) -> None:
    said = raw(house, head.encode())
    assert said.startswith(f"HTTP/1.1 {status} ".encode()), said[:200]


def test_a_second_request_cannot_hide_in_the_first(house: House) -> None:
    hidden = b"GET /static/icon.svg HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    first = b"POST /theme HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(hidden)
    said = raw(house, first + hidden)
    assert said.count(b"HTTP/1.1 ") == 1


def test_a_web_that_is_away_for_a_moment_is_waited_for(house: House) -> None:
    house.stop("web")
    with browser(house) as connection:
        connection.request("GET", "/login")
        house.start_web()
        assert connection.getresponse().status == 200


def test_a_body_that_is_too_large_is_said_so(house: House) -> None:
    with browser(house) as connection:
        connection.request("POST", "/login", b"x" * (5 << 20), {"Content-Type": "application/x-www-form-urlencoded"})
        assert connection.getresponse().status in (400, 413)


SLOW_FORM = (
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 2000\r\n\r\nname="
)
UNREAD_FILE = (
    b"GET /static/vendor/tabler-core@1.6.1/tabler.min.css HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n\r\n"
)


@pytest.mark.parametrize(
    "sent", [SLOW_FORM, UNREAD_FILE, UNREAD_FILE * 8], ids=["half a form", "an unread answer", "many unread answers"]
)
def test_slow_browsers_hold_no_thread_of_the_web(house: House, sent: bytes) -> None:
    with ExitStack() as plugs:
        for _number in range(12):  # three times its threads
            plug = plugs.enter_context(closing(socket.socket()))
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plug.connect(("127.0.0.1", house.port))
            plug.sendall(sent)
        with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=10)) as connection:
            connection.request("GET", "/login")
            assert connection.getresponse().status == 200


@contextmanager
def plugs(house: House, count: int, sent: bytes, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """So many connections that have sent this, and take nothing."""
    with ExitStack() as opened:
        made = []
        for _number in range(count):
            plug = opened.enter_context(closing(socket.socket()))
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plug.bind((source, 0))
            plug.connect(("127.0.0.1", house.port))
            plug.sendall(sent)
            made.append(plug)
        yield made


@pytest.mark.parametrize(
    ("count", "sent"),
    [
        (40, SLOW_FORM),
        (300, SLOW_FORM),
        (300, b""),
        (300, b"GET /login HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        (70, UNREAD_FILE),
        (300, b"GET /static/icon.svg HTTP/1.1\r\nHost: x\r\n\r\n"),
    ],
    ids=["forms", "many forms", "silence", "heads", "unread answers", "idle ones"],
)
def test_others_behind_the_same_address_are_served(house: House, count: int, sent: bytes) -> None:
    with plugs(house, count, sent):
        for source in ("127.0.0.1", "127.0.0.3"):
            with closing(
                http.client.HTTPConnection("127.0.0.1", house.port, timeout=30, source_address=(source, 0))
            ) as other:
                other.request("GET", "/login")
                assert other.getresponse().status == 200


def test_who_is_signed_in_may_take_longer_than_a_crowd_of_others(house: House) -> None:
    alice = house.sign_in("alice")
    begun = SLOW_FORM.replace(b"\r\n\r\n", f"\r\nConnection: close\r\nCookie: {alice.cookie}\r\n\r\n".encode())
    with plugs(house, 1, begun) as (mine,), plugs(house, 300, SLOW_FORM) as others:
        others[0].settimeout(30)
        assert others[0].recv(100) == b""  # the oldest of them made room
        mine.settimeout(30)
        mine.sendall(b"x" * 1995)
        assert mine.recv(100).startswith(b"HTTP/1.1 400 ")  # no CSRF token in it


def test_what_guests_send_is_short(house: House) -> None:
    head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    assert raw(house, head).startswith(b"HTTP/1.1 413 ")


def test_headers_that_a_web_server_reads_as_its_own_are_not_passed_on(house: House) -> None:
    said = raw(house, b"GET / HTTP/1.1\r\nHost: x\r\nSCRIPT_NAME: /elsewhere\r\nConnection: close\r\n\r\n")
    assert b"/login" in said and b"elsewhere" not in said


def test_a_large_form_is_waved_on_before_it_is_sent(house: House) -> None:
    body = b"name=" + b"x" * 200_000
    head = (
        b"POST /login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as plug:
        plug.sendall(head % len(body))
        assert plug.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        plug.sendall(body)
        said = b"".join(iter(lambda: plug.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 400 ")  # no CSRF token in it


def test_a_ticket_is_asked_for_by_the_pages_script(house: House) -> None:
    alice = house.sign_in("alice")
    clone = house.clone(alice, "desk")
    mallory = house.sign_in("mallory")
    with browser(house) as connection:
        for person, status in ((alice, 200), (mallory, 404)):
            connection.request("GET", "/", headers={"Cookie": person.cookie})
            page = connection.getresponse()
            token = page.read().decode().split('name="csrf-token" content="')[1].split('"')[0]
            cookie = (page.headers["Set-Cookie"] or person.cookie).split(";")[0]
            connection.request("POST", f"/console/{clone}/ticket", headers={"Cookie": cookie, "X-CSRFToken": token})
            answer = connection.getresponse()
            said = json.loads(answer.read())
            assert answer.status == status
            assert ("ticket" in said) == (status == 200)
