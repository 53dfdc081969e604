"""Behind a real nginx with HTTPS, by the configuration in deploy/: pages, live streams and consoles go through."""

import http.client
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
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
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("nginx is not installed (apt install nginx-light)")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    certificate, key = make_certificate(folder, "127.0.0.1")
    process = start(folder, port, running_house.port, certificate, key)
    try:
        wait_until(lambda: listens(port), 10, f"nginx listens; see {folder}/error.log")
        yield Proxy(running_house, port, ssl.create_default_context(cafile=str(certificate)))
    finally:
        process.terminate()
        process.wait(10)


def start(folder: Path, port: int, behind: int, certificate: Path, key: Path) -> "subprocess.Popen[bytes]":
    """The configuration as it is shipped, but for its port, name and certificate."""
    shipped = (ROOT / "deploy/nginx.conf").read_text()
    for ours, theirs in (
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
