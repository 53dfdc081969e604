"""What the job of a move does: the one or the other of both ways."""

from ravada_web.services.moves import live_work, move_work
from ravada_web.services.operations.execution import Handle


def move(handle: Handle) -> None:
    """Move the operation's clone, while it runs where that was asked for. Raises as either does."""
    if handle.params.get("live"):
        live_work.move(handle)
    else:
        move_work.move(handle)
