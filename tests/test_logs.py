"""Logs: what went wrong, without the values that were at hand."""

import logging

import pytest

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
