"""Errors as people see them: a page in the same look, or a toast that leaves the page as it is."""

import errno

import structlog
from flask import Flask, Response, g, make_response, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import AnonymousUserMixin, current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from werkzeug.exceptions import HTTPException, InternalServerError, TooManyRequests

from ravada_web.errors import DatabaseBusy, NotAllowed, RavadaError
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.services import transaction
from ravada_web.services.audit import refusals
from ravada_web.web.guard import me
from ravada_web.web.htmx import add_toast, wants_fragment

log = structlog.get_logger()

TITLES = {
    400: _l("Bad request"),
    403: _l("You don’t have access"),
    404: _l("Page not found"),
    405: _l("Method not allowed"),
    409: _l("Not possible right now"),
    413: _l("Too large"),
    422: _l("Missing or invalid input"),
    429: _l("Too many attempts"),
    500: _l("Something went wrong"),
    503: _l("Temporarily unavailable"),
}
TEXTS = {
    404: _l("Check the address. The page may have been removed."),
    405: _l("Go back and use the button on the page."),
    413: _l("Requests are limited to 4 MiB."),
    500: _l("The error has been logged. Try again; if it keeps happening, tell your administrator the time."),
}


def init_app(app: Flask) -> None:
    """Answer every error in the pages' own look."""
    app.register_error_handler(RavadaError, _refused)
    for away in (OperationalError, InterfaceError, NoConnection):
        app.register_error_handler(away, _database)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(TooManyRequests, _too_many)
    app.register_error_handler(InternalServerError, _unexpected)
    app.register_error_handler(HTTPException, _http)


def _refused(error: RavadaError) -> Response:
    """What a use case would not do; what somebody may not do is written down, too."""
    if isinstance(error, NotAllowed) and current_user.is_authenticated:
        refusals.record_refusal(me(), f"{request.method} {request.path}"[:200])
    if isinstance(error, DatabaseBusy):
        _show_as_to_nobody()
    return problem(error.status, str(error))


def problem(status: int, text: str) -> Response:
    """The answer to what went wrong: a toast for a partial request, else a page of its own."""
    if wants_fragment():
        response = make_response("", status)
        response.headers["HX-Reswap"] = "none"
        return add_toast(response, text, "danger")
    title = TITLES.get(status, TITLES[400])
    return make_response(render_template("errors/error.html", status=status, title=title, text=text), status)


def _http(error: HTTPException) -> Response:
    if error.response is not None:  # a redirect that routing raised
        return make_response(error.response)
    status = error.code or 500
    return problem(status, str(TEXTS.get(status) or error.description or ""))


def _csrf(_error: CSRFError) -> Response:
    return problem(400, _("The form has expired. Reload the page and try again."))


def _too_many(_error: TooManyRequests) -> Response:
    return problem(429, _("Too many failed attempts with this name from your address. Wait a minute and try again."))


def _unexpected(error: InternalServerError) -> Response:
    db.session.rollback()
    original = error.original_exception
    if isinstance(original, OSError) and original.errno in (errno.ENOSPC, errno.EDQUOT):
        return problem(503, str(message("general.disk_full")))
    return problem(500, str(TEXTS[500]))


def _database(error: SQLAlchemyError) -> Response:
    """A database that is busy, full or away is said so; what it would have written was not."""
    db.session.rollback()
    _show_as_to_nobody()
    log.error("database", error=str(getattr(error, "orig", None) or error))
    if refused := transaction.refusal(error):
        return problem(refused.status, str(refused))
    return problem(503, _("The database is not responding. Nothing was changed; tell your administrator."))


def _show_as_to_nobody() -> None:
    """The page that says what is wrong with the database must not ask it again who is looking."""
    g._login_user = AnonymousUserMixin()
