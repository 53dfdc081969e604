"""Sign in: name and password, then a code where the person has a second factor; sign out; light or dark.

One way in: a password that is right leads to the code, or in; what stands between the two is a mark in the signed
session that opens no page, and is forgotten after five minutes.
"""

import secrets
from datetime import timedelta

from flask import Blueprint, Response, flash, g, make_response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user, logout_user

from ravada_web.clock import is_recent, now
from ravada_web.config import settings
from ravada_web.models import User
from ravada_web.services.sign_in import attempts, failures, sessions
from ravada_web.services.sign_in.throttling import TooManyAttempts
from ravada_web.web import device
from ravada_web.web.filters import moment
from ravada_web.web.guard import enter, me, open_to_all
from ravada_web.web.htmx import local_path, show
from ravada_web.web.sign_in.forms import CodeForm, SignInForm

blueprint = Blueprint("auth", __name__)
THEMES = ("auto", "light", "dark")
ONE_YEAR = 31_536_000
HALF_WAY = "half_way"
HALF_WAY_TIME = timedelta(minutes=5)


@blueprint.get("/login")
@open_to_all
def login() -> ResponseReturnValue:
    """The form to sign in."""
    if current_user.is_authenticated:
        return redirect(local_path(request.args.get("next")), 303)
    return _form(SignInForm())


@blueprint.post("/login")
@open_to_all
def sign_in() -> ResponseReturnValue:
    """Check the password."""
    form = SignInForm()
    if not form.validate():
        return _form(form, 422)
    try:
        user = attempts.by_password(form.values["name"], form.password.data, device.words())
    except TooManyAttempts as error:
        return _too_many(form, error)
    if user is None:
        form.form_errors.append(_("Wrong name or password."))
        return _form(form, 422)
    back = local_path(request.form.get("next"))
    if user.has_second_factor:
        session[HALF_WAY] = {"user": user.id, "at": int(now().timestamp()), "word": secrets.token_urlsafe(8)}
        return redirect(url_for("auth.code", next=back), 303)
    return _let_in(user, back)


def _too_many(form: SignInForm | CodeForm, error: TooManyAttempts) -> Response:
    form.form_errors.append(str(error))
    answer = _form(form, error.status) if isinstance(form, SignInForm) else _code_form(form, error.status)
    answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _let_in(user: User, back: str) -> Response:
    enter(user)
    if told := failures.said(user):
        flash(f"{told}. {_('If that wasn’t you, change your password.')}", "warning")
    answer = make_response(redirect(back, 303))
    device.remember(answer, user)
    return answer


def _form(form: SignInForm, status: int = 200) -> Response:
    back = local_path(request.values.get("next"))
    return show("auth/login.html", "auth/_form.html", status, form=form, next=back)


@blueprint.get("/login/code")
@open_to_all
def code() -> ResponseReturnValue:
    """The form of the second factor."""
    return _code_form(CodeForm()) if _half_way() else redirect(url_for("auth.login"), 303)


@blueprint.post("/login/code")
@open_to_all
def enter_code() -> ResponseReturnValue:
    """Check the code."""
    user, form = _half_way(), CodeForm()
    if user is None:
        return redirect(url_for("auth.login", next=local_path(request.form.get("next"))), 303)
    if not form.validate():
        return _code_form(form, 422)
    try:
        right = attempts.by_code(user, form.values["code"], device.words())
    except TooManyAttempts as error:
        return _too_many(form, error)
    if not right:
        form.refuse_code()
        return _code_form(form, 422)
    return _let_in(user, local_path(request.form.get("next")))


def _half_way() -> User | None:
    """The user who has entered a correct password within five minutes, and no code yet."""
    mark = session.get(HALF_WAY)
    if not isinstance(mark, dict) or not is_recent(moment(mark["at"]), HALF_WAY_TIME):
        return None
    return attempts.awaiting_code(mark["user"])


def _code_form(form: CodeForm, status: int = 200) -> Response:
    back = local_path(request.values.get("next"))
    return show("auth/code.html", "auth/_code_form.html", status, form=form, next=back)


@blueprint.post("/logout")
@open_to_all
def logout() -> ResponseReturnValue:
    """End this session."""
    if current_user.is_authenticated:
        sessions.end(me(), g.session_id)
    logout_user()
    session.clear()
    return redirect(url_for("auth.login"), 303)


@blueprint.post("/theme")
@open_to_all
def theme() -> ResponseReturnValue:
    """Keep the choice of light, dark, or as the device has it."""
    chosen = request.form.get("theme", "auto")
    answer = redirect(local_path(request.form.get("next")), 303)
    if chosen in THEMES:
        answer.set_cookie("theme", chosen, max_age=ONE_YEAR, samesite="Lax", secure=settings().https)
    return answer
