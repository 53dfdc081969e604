"""Jobs about clones: each does one batch on one node."""

from ravada_web.services.clones import creation_work, deletion_work, power_work, remake_work, shutdown_watch
from ravada_web.services.consoles import screenshot_work, viewer_files
from ravada_web.services.operations.execution import run


def create(operation_id: int, attempt: int) -> None:
    """Make the batch's disks and domains."""
    run(operation_id, attempt, creation_work.create)


def start(operation_id: int, attempt: int) -> None:
    """Start the batch."""
    run(operation_id, attempt, power_work.start)


def stop(operation_id: int, attempt: int) -> None:
    """Ask the batch to shut down, or force it off."""
    run(operation_id, attempt, power_work.stop)


def restart(operation_id: int, attempt: int) -> None:
    """Shut the batch down and start it again."""
    run(operation_id, attempt, power_work.restart)


def watch(*operation_ids: int) -> None:
    """Look at guests that were asked to shut down."""
    shutdown_watch.watch(operation_ids)


def delete(operation_id: int, attempt: int) -> None:
    """Delete the batch."""
    run(operation_id, attempt, deletion_work.delete)


def remake(operation_id: int, attempt: int) -> None:
    """Make a dead node's volatile clones again elsewhere."""
    run(operation_id, attempt, remake_work.remake)


def place_waiting(*operation_ids: int) -> None:
    """Place what waits for room to be made again, and see how far the rest is."""
    remake_work.watch(operation_ids)


def screenshots(*clone_ids: int) -> None:
    """Take screenshots of running clones."""
    screenshot_work.capture(clone_ids)


def offer(operation_id: int, attempt: int) -> None:
    """Make a viewer file for a clone."""
    run(operation_id, attempt, viewer_files.admit)
