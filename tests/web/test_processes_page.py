"""The page of workers knows every process of the host, and says which one stands still."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ravada_web import beats
from tests.conftest import People


def test_the_page_of_workers_knows_every_process(
    people: People, sign_in: Callable[..., FlaskClient], client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = beats.Board(["ticker", "links", "not started"])
    monkeypatch.setattr(beats._Here, "board", board)
    for name in (beats.PARENT, "ticker", "links"):
        board.begin(name)
    for name in (beats.PARENT, "ticker"):
        board.beat(name)
    board.mark("links", True)
    sign_in(people.administrator)
    page = client.get("/workers").text
    part = page[page.index('id="processes"') : page.index('id="links"')]
    assert [word for word in ("parent", "ticker", "links", "Running", "Not responding") if word not in part] == []
    assert "not started" not in part
    assert "Not responding: links" in page
