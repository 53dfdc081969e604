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
    Cause.TICKET: _l("The ticket for this console was used already, or is too old. A new one is asked for."),
    Cause.SIGN_IN: _l("Your sign-in has ended. Sign in again to go on."),
    Cause.REFUSED: _l("You may not see this desktop, or its user does not want anybody to look on."),
    Cause.NOT_RUNNING: _l("The desktop is not running."),
    Cause.STOPPED: _l("The desktop's screen has closed: it was shut down, or is restarting."),
    Cause.UNREACHABLE: _l(
        "The desktop's host does not answer. Nothing on it is lost; it comes back when the host does."
    ),
    Cause.TAKEN_OVER: _l("This desktop was opened in another window or on another device."),
    Cause.TOO_MANY: _l("Too many consoles are open at once. Close one first."),
    Cause.SILENT: _l("Your browser has not answered for a while, so the connection was given up."),
    Cause.SHUTDOWN: _l("The gateway is being restarted."),
    Cause.LEFT: _l("You have left the desktop."),
    Cause.BROKEN: _l("Something went wrong on our side. It is written down; the desktop itself is as it was."),
    Cause.TOO_FAST: _l("Your browser sent more than any keyboard and mouse can, so the connection was closed."),
}
