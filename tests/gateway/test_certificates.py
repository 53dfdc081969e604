"""HTTPS by certificate files of one's own, without a reverse proxy: signing in, pages and consoles."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
from websockets.sync.client import connect

from ravada_web.extensions import db
from ravada_web.models import UserSession
from ravada_web.services.consoles import tickets
from tests.support.certificates import make_certificate
from tests.support.house import PASSWORD, House


@pytest.fixture
def trusting(house: House, tmp_path: Path) -> Iterator[ssl.SSLContext]:
    """The house with a certificate of its own; what a browser trusts that knows it."""
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    house.more = {"RAVADA_TLS_CERT": str(certificate), "RAVADA_TLS_KEY": str(key)}
    house.restart()
    yield ssl.create_default_context(cafile=str(certificate))
    house.opened.close()
    house.more = {}
    house.restart()


def test_a_person_signs_in_and_opens_a_console(house: House, trusting: ssl.SSLContext) -> None:
    alice = house.sign_in("alice")
    clone = house.clone(alice, "desk")
    with closing(http.client.HTTPSConnection("127.0.0.1", house.port, context=trusting, timeout=20)) as connection:
        connection.request("GET", "/login")
        page = connection.getresponse()
        token = page.read().decode().split('name="csrf-token" content="')[1].split('"')[0]
        assert page.headers["Strict-Transport-Security"]
        cookie = page.headers["Set-Cookie"].split(";")[0]
        form = urlencode({"csrf_token": token, "name": "alice", "password": PASSWORD})
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Referer": f"https://127.0.0.1:{house.port}/login",
        }
        connection.request("POST", "/login", form, headers | {"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        given = answer.headers.get_all("Set-Cookie") or []
        assert given and all("Secure" in line and "HttpOnly" in line for line in given)
    db.session.rollback()
    user_id, sign_in = alice.user_id, db.session.query(UserSession).order_by(UserSession.id.desc()).first()
    assert sign_in is not None and sign_in.user_id == user_id and sign_in.id != alice.sign_in_id
    words = ["binary", f"ticket.{tickets.issue(sign_in.user, sign_in.id, clone)}"]
    cookies = "; ".join(line.split(";")[0] for line in given)
    options = {"additional_headers": {"Cookie": cookies}, "ssl": trusting, "compression": None}
    origin = f"https://127.0.0.1:{house.port}"
    address = f"wss://127.0.0.1:{house.port}/console/stream"
    with connect(address, origin=origin, subprotocols=words, **options) as console:  # type: ignore[arg-type]
        assert bytes(console.recv(5)).startswith(b"RFB ")  # type: ignore[arg-type]
