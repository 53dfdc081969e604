"""Logs: what went wrong, without the values that were at hand."""

import logging
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog
from flask import Flask
from sqlalchemy import text as sql
from sqlalchemy.exc import IntegrityError

from ravada_web.extensions import db
from ravada_web.logs import configure_logs


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """What the product's own way of logging, in place of pytest's, writes to standard error."""
    stream, root = StringIO(), logging.getLogger()
    monkeypatch.setattr("sys.stderr", stream)
    others, root.handlers[:] = root.handlers[:], []
    configure_logs()
    yield stream
    root.handlers[:] = others


def test_a_traceback_shows_no_values(said: StringIO) -> None:
    def sign_in(password: str) -> None:
        raise ValueError(len(password))

    try:
        sign_in("opensesame"[::-1])
    except ValueError:
        logging.getLogger("somebody").exception("It went wrong.")
    text = said.getvalue()
    assert "It went wrong." in text
    assert "ValueError: 10" in text
    assert "emasesnepo" not in text


FORGED = "no route\n2026-11-27T10:00:00Z [info     ] admin signed in\r\x1b[2J\x9b1A\u2028\u202e" + "x" * 100_000


def test_words_of_a_node_make_no_line_of_their_own(said: StringIO) -> None:
    structlog.get_logger().warning("tick skipped", error=FORGED)
    logging.getLogger("somebody").warning("it said: %s", FORGED)
    structlog.get_logger().warning(FORGED)
    text = said.getvalue()
    assert len(text.splitlines()) == 3
    _is_clean(text)


def test_nor_do_they_in_a_traceback(said: StringIO) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        structlog.get_logger().exception("it broke")
        logging.getLogger("somebody").exception("it broke")
    text = said.getvalue()
    assert [line for line in text.split("\n") if line[:1].strip() and "it broke" not in line] == []
    assert "admin signed in" in text and "raise ValueError(FORGED)" in text
    _is_clean(text)


def _is_clean(said: str) -> None:
    assert all(char.isprintable() for char in said.replace("\n", ""))
    assert len(said) < 50_000


def test_an_error_of_the_database_shows_no_values(app: Flask) -> None:
    insert = sql("INSERT INTO users (name) VALUES (:name)")
    with pytest.raises(IntegrityError) as raised:
        db.session.execute(insert, {"name": "opensesame"})
    db.session.rollback()
    assert "INSERT INTO users" in str(raised.value)
    assert "opensesame" not in str(raised.value)
