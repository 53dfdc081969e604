"""Access to pages: each needs a session, unless it is marked as open, and the right it is marked with."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import current_app, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from ravada_web.models import User
from ravada_web.services import changes
from ravada_web.services.audit import origin
from ravada_web.services.permissions import rights
from ravada_web.services.sign_in import second_factor, sessions
from ravada_web.web.htmx import browser_path, here, sent_to, wants_fragment

View = TypeVar("View", bound=Callable[..., Any])


def me() -> User:
    """The user of the request."""
    return cast(User, current_user._get_current_object())


def record_origin() -> None:
    """Before each request: keep its address, for the audit log."""
    origin.address.set((request.remote_addr or "")[:64])


def record_last_change() -> None:
    """Before a page is read from the database: keep the last change's number, from which its live updates start."""
    not_a_page = request.blueprint == "probes" or request.endpoint == "static"
    if request.method == "GET" and not wants_fragment() and not not_a_page:
        g.live_since = changes.latest()


def load_user(token: str) -> User | None:
    """The user whose session's token is in the cookie; the session's id is kept for the request (`g.session_id`)."""
    user_session = sessions.find(token)
    if user_session is None:
        return None
    sessions.use(user_session)
    g.session_id = user_session.id
    return user_session.user


def enter(user: User) -> None:
    """Sign a user in from this browser: a new session, so that nothing of a former one is left in it."""
    session.clear()
    session["_user_id"] = sessions.begin(user, origin.address.get(), request.user_agent.string)
    session["_fresh"] = True
    session.permanent = False


def open_to_all(view: View) -> View:
    """Mark a view that needs no sign-in."""
    view.open_to_all = True  # type: ignore[attr-defined]
    return view


def needs(right: str) -> Callable[[View], View]:
    """Require the right before anything is loaded."""

    def mark(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **values: Any) -> Any:
            rights.require(me(), right)
            return view(*args, **values)

        return cast(View, guarded)

    return mark


def require_sign_in() -> ResponseReturnValue | None:
    """Before each request: require a session, except for what is marked as open."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or request.endpoint == "static" or getattr(view, "open_to_all", False):
        return None
    if not current_user.is_authenticated:
        return redirect_to_sign_in()
    return _first_of_all(me())


# The pages for setting a password or a second factor that has to be set first.
_BEFORE_DUTIES = {"account.password", "account.change_password", "account.set_up", "account.confirm"}


def _first_of_all(user: User) -> ResponseReturnValue | None:
    """A reset password has to be changed, and a demanded second factor set up, before anything else."""
    if request.endpoint in _BEFORE_DUTIES:
        return None
    if user.must_change_password:
        return _lead_to("account.password")
    return _lead_to("account.set_up") if second_factor.owed(user) else None


def _lead_to(endpoint: str) -> ResponseReturnValue:
    return sent_to(url_for(endpoint), status=403) if wants_fragment() else redirect(url_for(endpoint), 303)


def redirect_to_sign_in() -> ResponseReturnValue:
    """Redirect to the sign-in page and back; a partial request gets 401 and a header."""
    if wants_fragment():
        return sent_to(url_for("auth.login", next=browser_path()), status=401)
    if session.pop("_user_id", None):
        flash(_("Your session has ended. Sign in to continue."), "info")
    back = here() if request.method == "GET" else None
    return redirect(url_for("auth.login", next=None if back == "/" else back), 303)
