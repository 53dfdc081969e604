"""Logs: what went wrong, without the values that were at hand."""

import logging

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ravada_web.extensions import db
from ravada_web.logs import configure_logs


def test_a_traceback_shows_no_values(capfd: pytest.CaptureFixture[str]) -> None:
    def sign_in(password: str) -> None:
        raise ValueError(len(password))

    handlers = logging.getLogger().handlers[:]
    configure_logs()
    try:
        sign_in("opensesame"[::-1])
    except ValueError:
        logging.getLogger("somebody").exception("It went wrong.")
    finally:
        logging.getLogger().handlers[:] = handlers
    said = capfd.readouterr().err
    assert "It went wrong." in said
    assert "ValueError: 10" in said
    assert "emasesnepo" not in said


def test_an_error_of_the_database_shows_no_values(app: Flask) -> None:
    insert = text("INSERT INTO users (name) VALUES (:name)")
    with pytest.raises(IntegrityError) as raised:
        db.session.execute(insert, {"name": "opensesame"})
    db.session.rollback()
    assert "INSERT INTO users" in str(raised.value)
    assert "opensesame" not in str(raised.value)
