"""Behind a real nginx with HTTPS, by the configuration in deploy/: pages, live streams and consoles go through."""

import http.client
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from ravada_web.extensions import db
from ravada_web.models import Console
from ravada_web.services import changes
from tests.support.certificates import make_certificate
from tests.support.house import ROOT, House, free_port, listens
from tests.support.servers import wait_until

Changes = Sequence[tuple[str, str]]


@dataclass
class Proxy:
    """nginx before the house."""

    house: House
    port: int
    context: ssl.SSLContext

    @property
    def origin(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def proxy(running_house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_proxy(running_house, tmp_path_factory.mktemp("nginx")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def strict_proxy(running_house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The same with small bounds, and short times."""
    with running_proxy(running_house, tmp_path_factory.mktemp("nginx"), STRICT) as proxy:
        yield proxy


STRICT = (
    ("limit_conn ravada_connections 1000;", "limit_conn ravada_connections 2;"),
    ("client_header_timeout 10s;", "client_header_timeout 1s;"),
    ("burst=2000 nodelay;", "burst=5 nodelay;"),
    ("rate=200r/s;", "rate=1r/s;"),
)


@contextmanager
def running_proxy(house: House, folder: Path, changed: Changes = ()) -> Iterator[Proxy]:
    """nginx before the house, for the block's time."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("nginx is not installed (apt install nginx-light)")
    port = free_port()
    certificate, key = make_certificate(folder, "127.0.0.1")
    process = start(folder, port, house.port, certificate, key, changed)
    try:
        wait_until(lambda: listens(port), 10, f"nginx listens; see {folder}/error.log")
        yield Proxy(house, port, ssl.create_default_context(cafile=str(certificate)))
    finally:
        process.terminate()
        process.wait(10)


def start(
    folder: Path, port: int, behind: int, certificate: Path, key: Path, changed: Changes
) -> "subprocess.Popen[bytes]":
    """The configuration as it is shipped, but for its port, name and certificate, and what else is changed."""
    shipped = (ROOT / "deploy/nginx.conf").read_text()
    for ours, theirs in (
        *changed,
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:8000", f"127.0.0.1:{behind}"),
        ("/etc/ssl/certs/desktops.pem", str(certificate)),
        ("/etc/ssl/private/desktops.key", str(key)),
    ):
        assert ours in shipped
        shipped = shipped.replace(ours, theirs)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # It comes from an address of its own, the one that the gateway trusts.
    http_block = f"access_log off; proxy_bind 127.0.0.2; {temporary} {shipped}"
    whole = f"daemon off; pid {folder}/pid; events {{}} http {{ {http_block} }}"
    (folder / "nginx.conf").write_text(whole)
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
    return subprocess.Popen([program, "-c", folder / "nginx.conf", "-e", folder / "error.log", "-g", "user root;"])


def test_pages_pass(proxy: Proxy, house: House) -> None:
    alice = house.sign_in("alice")
    with closing(http.client.HTTPSConnection("127.0.0.1", proxy.port, context=proxy.context, timeout=10)) as connection:
        for path in ("/", "/static/app.css"):
            connection.request("GET", path, headers={"Cookie": alice.cookie})
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read()


def test_live_pages_pass(proxy: Proxy, house: House) -> None:
    alice = house.sign_in("alice")
    clone = house.clone(alice, "desk")
    with closing(http.client.HTTPSConnection("127.0.0.1", proxy.port, context=proxy.context, timeout=10)) as connection:
        connection.request("GET", f"/live?topics=desktops&since={changes.latest()}", headers={"Cookie": alice.cookie})
        answer = connection.getresponse()
        assert answer.headers["Content-Type"] == "text/event-stream"
        house.change(clone, reason="something new")
        while b"data: desktops" not in (line := answer.readline()):
            assert line


def test_consoles_pass_and_know_the_browsers_address(proxy: Proxy, house: House) -> None:
    alice = house.sign_in("alice")
    clone = house.clone(alice, "desk")
    words = ["binary", f"ticket.{house.ticket(alice, clone)}"]
    address = f"wss://127.0.0.1:{proxy.port}/console/stream"
    options = {"additional_headers": {"Cookie": alice.cookie}, "ssl": proxy.context, "compression": None}
    with connect(address, origin=proxy.origin, subprotocols=words, **options) as console:  # type: ignore[arg-type]
        assert bytes(console.recv(5)).startswith(b"RFB ")  # type: ignore[arg-type]
        db.session.rollback()
        row = db.session.query(Console).filter_by(clone_id=clone, closed_at=None).one()
        assert row.address == "127.0.0.1"
    evil = "https://evil.example"
    with pytest.raises(InvalidStatus), connect(address, origin=evil, **options):  # type: ignore[arg-type]
        pass


def test_one_visitor_has_so_many_requests_at_once(strict_proxy: Proxy, house: House) -> None:
    alice = house.sign_in("alice")
    with ExitStack() as opened:
        said = []
        for _number in range(3):
            connection = opened.enter_context(closing(_connection(strict_proxy)))
            connection.request("GET", "/live?topics=desktops", headers={"Cookie": alice.cookie})
            said.append(connection.getresponse().status)
        assert said == [200, 200, 503]


def test_one_visitor_asks_no_faster(strict_proxy: Proxy) -> None:
    with closing(_connection(strict_proxy, "127.0.0.7")) as connection:
        said = []
        for _number in range(30):
            connection.request("GET", "/static/icon.svg")
            answer = connection.getresponse()
            answer.read()
            said.append(answer.status)
        assert said[:5] == [200] * 5 and 429 in said


def test_a_head_that_does_not_end_is_not_waited_for(strict_proxy: Proxy) -> None:
    with closing(_connection(strict_proxy)) as connection:
        connection.connect()
        connection.sock.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        connection.sock.settimeout(30)
        with suppress(ConnectionError):
            assert not connection.sock.recv(1000).startswith(b"HTTP/1.1 200")


def _connection(proxy: Proxy, source: str = "127.0.0.1") -> http.client.HTTPSConnection:
    place = "127.0.0.1", proxy.port
    return http.client.HTTPSConnection(*place, context=proxy.context, timeout=30, source_address=(source, 0))
