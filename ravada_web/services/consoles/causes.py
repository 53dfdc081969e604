"""Why a console does not open, or closes: one word each, the WebSocket's close code, and a message for people."""

from enum import StrEnum

from ravada_web.messages import Message, message
from ravada_web.models import Clone


class Cause(StrEnum):
    """What ended, or kept from opening, a console."""

    TICKET = "ticket"
    SIGN_IN = "sign_in"
    REFUSED = "refused"
    NOT_RUNNING = "not_running"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"
    TAKEN_OVER = "taken_over"
    TOO_MANY = "too_many"
    SILENT = "silent"
    SHUTDOWN = "shutdown"
    LEFT = "left"
    BROKEN = "broken"
    TOO_FAST = "too_fast"
    MADE_AGAIN = "made_again"
    MOVED = "moved"


# From 4000 on, codes are an application's own (RFC 6455, 7.4.2). A browser shows no other word of a failed socket.
CODES = {cause: 4000 + number for number, cause in enumerate(Cause)}
# After these, a console that tries again may well get in; after the others somebody has to do something first.
PASSING = frozenset(
    {
        Cause.TICKET,
        Cause.UNREACHABLE,
        Cause.MADE_AGAIN,
        Cause.MOVED,
        Cause.STOPPED,
        Cause.NOT_RUNNING,
        Cause.SILENT,
        Cause.SHUTDOWN,
        Cause.BROKEN,
    }
)


def away(clone: Clone) -> Cause:
    """Why the screen of a clone whose node is away does not open, or closes."""
    return Cause.MADE_AGAIN if clone.is_remade else Cause.UNREACHABLE


def closed(cause: Cause) -> Message:
    """The message for a console that did not open, or has closed."""
    return message(f"consoles.closed_{cause}")
