"""Telling of trouble."""

from ravada_web.services import telling
from ravada_web.services.running import run


def tell() -> None:
    """Tell administrators what is due."""
    telling.tell()


def test(operation_id: int, attempt: int) -> None:
    """Send a test message."""
    run(operation_id, attempt, telling.test)
