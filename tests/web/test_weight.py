"""What pages weigh on the wire: the first load with all its files, a later page alone, and how files are compressed."""

import gzip
import re
from collections.abc import Callable
from html import unescape

import brotli
import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from ravada_web.models import Clone, User
from ravada_web.services.consoles import screenshots
from ravada_web.services.transaction import transaction
from ravada_web.web import compression
from tests.conftest import People
from tests.web.conftest import World

SignIn = Callable[[User | str], FlaskClient]
TAKES = {"Accept-Encoding": "gzip, deflate, br, zstd"}
FIRST_LOAD, LATER_PAGE = 300_000, 30_000


def files_of(page: str) -> set[str]:
    """The addresses of all files that a page names; what is behind a `#` is a part of a file."""
    return {unescape(found) for found in re.findall(r'(?:src|href)="(/static/[^"#]+)', page)}


def test_the_first_load(client: FlaskClient) -> None:
    first = client.get("/login", headers=TAKES)
    assert first.headers["Content-Encoding"] == "br"
    weights = {"/login": len(first.data)}
    for address in files_of(brotli.decompress(first.data).decode()):
        answer = client.get(address, headers=TAKES)
        assert answer.status_code == 200
        weights[address] = len(answer.data)
    assert len(weights) > 5
    assert sum(weights.values()) < FIRST_LOAD, weights


@pytest.mark.parametrize("address", ["/", "/clones", "/nodes", "/operations", "/bases/{base}/base"])
def test_a_later_page_that_is_full(world: World, people: People, sign_in: SignIn, address: str) -> None:
    add_clones(world, people.administrator, 60)
    answer = sign_in("administrator").get(world.path(address), headers=TAKES)
    assert answer.status_code == 200
    assert len(answer.data) < LATER_PAGE


def add_clones(world: World, owner: User, count: int) -> None:
    with transaction() as session:
        like = session.get_one(Clone, world.mine)
        row = {"base_id": like.base_id, "version_id": like.version_id, "node_id": like.node_id, "memory_mib": 1}
        row |= {"owner_id": owner.id, "state": "running"}
        rows = [row | {"name": f"full-{n}", "uuid": f"00000000-0000-0000-0000-{n:012}"} for n in range(count)]
        session.execute(insert(Clone), rows)


def test_a_file_is_compressed_once_and_kept_until_it_changes(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = client.get("/static/app.css")
    first = client.get("/static/app.css", headers=TAKES)
    monkeypatch.setattr("flask_compress.flask_compress._compress_data", None)
    again = client.get("/static/app.css", headers=TAKES)
    assert brotli.decompress(again.data) == brotli.decompress(first.data) == plain.data
    assert int(again.headers["Content-Length"]) == len(again.data) < len(plain.data) / 3
    # A page is never kept: it is another one for everybody.
    with pytest.raises(TypeError):
        client.get("/login", headers=TAKES)


def test_what_is_kept_of_a_file_goes_when_the_file_changes() -> None:
    kept = compression.StaticFiles()
    kept.set("br;app.css@1", b"old")
    kept.set("gzip;app.css@1", b"old")
    kept.set("br;app.css@2", b"new")
    kept.set("br;", b"a page")
    assert kept.get("br;app.css@1") is None
    assert (kept.get("br;app.css@2"), kept.get("gzip;app.css@1"), kept.get("br;")) == (b"new", b"old", None)


def test_a_browser_that_has_the_file_is_told_so(client: FlaskClient) -> None:
    first = client.get("/static/app.css", headers=TAKES)
    again = client.get("/static/app.css", headers=TAKES | {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert first.headers["ETag"] != client.get("/static/app.css").headers["ETag"]
    assert "Cookie" not in first.headers["Vary"]
    assert "Accept-Encoding" in first.headers["Vary"]


def test_without_brotli_it_is_gzip_and_a_part_of_a_file_is_plain(client: FlaskClient) -> None:
    old = client.get("/login", headers={"Accept-Encoding": "gzip"})
    assert b"<!doctype html>" in gzip.decompress(old.data)
    part = client.get("/static/app.css", headers=TAKES | {"Range": "bytes=0-9999"})
    assert part.status_code == 206
    assert "Content-Encoding" not in part.headers
    assert part.data == client.get("/static/app.css").data[:10_000]


def test_neither_small_answers_nor_pictures_are_compressed(world: World, people: People, sign_in: SignIn) -> None:
    client = sign_in("user")
    screenshots.store(world.mine, b"\x00" * 5000)
    for address in ("/static/icon.svg", f"/desktops/{world.mine}/picture?v=1"):
        answer = client.get(address, headers=TAKES)
        assert answer.status_code == 200
        assert "Content-Encoding" not in answer.headers
