"""Why a console does not open, or closes: one word each, the WebSocket's close code, and a sentence for people."""

from enum import StrEnum

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString


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


# From 4000 on, codes are an application's own (RFC 6455, 7.4.2). A browser shows no other word of a failed socket.
CODES = {cause: 4000 + number for number, cause in enumerate(Cause)}
# After these, a console that tries again may well get in; after the others somebody has to do something first.
PASSING = frozenset(
    {
        Cause.TICKET,
        Cause.UNREACHABLE,
        Cause.STOPPED,
        Cause.NOT_RUNNING,
        Cause.SILENT,
        Cause.SHUTDOWN,
        Cause.BROKEN,
    }
)
SENTENCES: dict[Cause, LazyString] = {
    Cause.TICKET: _l("The console ticket has expired. Requesting a new one."),
    Cause.SIGN_IN: _l("Your session has ended. Sign in to continue."),
    Cause.REFUSED: _l("You don’t have access to this desktop, or its user has blocked screen viewing."),
    Cause.NOT_RUNNING: _l("The desktop is not running."),
    Cause.STOPPED: _l("The desktop was shut down or is restarting."),
    Cause.UNREACHABLE: _l(
        "The desktop’s host is not responding. Your data is safe; the desktop returns when the host is back."
    ),
    Cause.TAKEN_OVER: _l("This desktop was opened in another window or on another device."),
    Cause.TOO_MANY: _l("Too many consoles open. Close one and try again."),
    Cause.SILENT: _l("Your browser stopped responding; connection closed."),
    Cause.SHUTDOWN: _l("The console service is restarting."),
    Cause.LEFT: _l("You have left the desktop."),
    Cause.BROKEN: _l("Something went wrong. The error has been logged; your desktop is not affected."),
    Cause.TOO_FAST: _l("Too much input from your browser; connection closed."),
}
