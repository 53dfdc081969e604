"""Logs: what went wrong, without the values that were at hand."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ravada_web.extensions import db
from ravada_web.logs import configure_logs


@pytest.fixture
def ours(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """The product's own way of logging, in place of pytest's; what it says is captured."""
    handlers = logging.getLogger().handlers[:]
    configure_logs()
    yield
    logging.getLogger().handlers[:] = handlers


def test_a_traceback_shows_no_values(ours: None, capfd: pytest.CaptureFixture[str]) -> None:
    def sign_in(password: str) -> None:
        raise ValueError(len(password))

    try:
        sign_in("opensesame"[::-1])
    except ValueError:
        logging.getLogger("somebody").exception("It went wrong.")
    said = capfd.readouterr().err
    assert "It went wrong." in said
    assert "ValueError: 10" in said
    assert "emasesnepo" not in said


FORGED = "no route\n2026-11-27T10:00:00Z [info     ] admin signed in\r\x1b[2J\x9b1A\u2028\u202e" + "x" * 100_000


def test_words_of_a_node_make_no_line_of_their_own(ours: None, capfd: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().warning("tick skipped", error=FORGED)
    logging.getLogger("somebody").warning("it said: %s", FORGED)
    structlog.get_logger().warning(FORGED)
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 3
    _is_clean(said)


def test_nor_do_they_in_a_traceback(ours: None, capfd: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        structlog.get_logger().exception("it broke")
        logging.getLogger("somebody").exception("it broke")
    said = capfd.readouterr().err
    assert [line for line in said.split("\n") if line[:1].strip() and "it broke" not in line] == []
    assert "admin signed in" in said and "raise ValueError(FORGED)" in said
    _is_clean(said)


def _is_clean(said: str) -> None:
    assert all(char.isprintable() for char in said.replace("\n", ""))
    assert len(said) < 50_000


def test_an_error_of_the_database_shows_no_values(app: Flask) -> None:
    insert = text("INSERT INTO users (name) VALUES (:name)")
    with pytest.raises(IntegrityError) as raised:
        db.session.execute(insert, {"name": "opensesame"})
    db.session.rollback()
    assert "INSERT INTO users" in str(raised.value)
    assert "opensesame" not in str(raised.value)
