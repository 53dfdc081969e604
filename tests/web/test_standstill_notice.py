"""What stands still is on every page of whoever is signed in, and fetched again by the page itself."""

from collections.abc import Callable

import pytest
from flask import g
from flask.testing import FlaskClient

from ravada_web import beats
from ravada_web.beats import Board
from tests.conftest import People


@pytest.mark.parametrize("who", ["user", "administrator"])
def test_a_page_hears_of_what_stands_still(
    people: People, sign_in: Callable[[str], FlaskClient], monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    board = Board(["ticker"])
    monkeypatch.setattr(beats._Here, "board", board)
    for name in (beats.PARENT, "ticker"):
        board.begin(name)
    client = sign_in(who)
    assert 'data-live="standstill" hx-get="/standstill"' in client.get("/").text
    board.mark("ticker", True)
    for address in ("/", "/account", "/standstill"):
        g.pop("_login_user", None)
        page = client.get(address).text
        assert "Not responding: ticker" in page and 'data-live="stands_still" hx-get="/standstill"' in page
    part = client.get("/standstill", headers={"HX-Request": "true"}).text
    assert part.lstrip().startswith("<div") and "<html" not in part


def test_the_page_to_sign_in_asks_for_nothing(client: FlaskClient) -> None:
    assert "/standstill" not in client.get("/login").text
