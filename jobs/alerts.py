"""Alerts: send notifications."""

from ravada_web.services.monitoring import notifications
from ravada_web.services.operations.execution import run


def notify() -> None:
    """Send the notifications that are due."""
    notifications.send_due()


def test(operation_id: int, attempt: int) -> None:
    """Send a test message."""
    run(operation_id, attempt, notifications.send_test)
