"""Jobs about clones: each does one batch on one node."""

from ravada_web.services import clone_work
from ravada_web.services.running import run


def create(operation_id: int, attempt: int) -> None:
    """Make the batch's disks and domains."""
    run(operation_id, attempt, clone_work.create)


def start(operation_id: int, attempt: int) -> None:
    """Start the batch."""
    run(operation_id, attempt, clone_work.start)


def stop(operation_id: int, attempt: int) -> None:
    """Shut the batch down, or force it off."""
    run(operation_id, attempt, clone_work.stop)


def restart(operation_id: int, attempt: int) -> None:
    """Shut the batch down and start it again."""
    run(operation_id, attempt, clone_work.restart)


def delete(operation_id: int, attempt: int) -> None:
    """Delete the batch."""
    run(operation_id, attempt, clone_work.delete)
