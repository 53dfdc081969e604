"""Sign in, sign out, and the choice of light or dark."""

from flask import Blueprint, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_limiter.util import get_remote_address
from flask_login import current_user, logout_user

from ravada_web.extensions import limiter
from ravada_web.services import sign_ins, users
from ravada_web.services.operations import settings
from ravada_web.web.forms import SignInForm
from ravada_web.web.guard import enter, me, open_to_all
from ravada_web.web.htmx import local_path, show

blueprint = Blueprint("auth", __name__)
THEMES = ("auto", "light", "dark")
ONE_YEAR = 31_536_000


def _address_and_name() -> str:
    """What failed attempts are counted by: nobody can lock another person out from elsewhere."""
    return f"{get_remote_address()} {request.form.get('name', '').strip().lower()[:64]}"


@blueprint.get("/login")
@open_to_all
def login() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(local_path(request.args.get("next")), 303)
    return _form(SignInForm())


@blueprint.post("/login")
@open_to_all
@limiter.limit(
    lambda: settings().login_limit,
    key_func=_address_and_name,
    deduct_when=lambda answer: answer.status_code != 303,
)
def sign_in() -> ResponseReturnValue:
    form = SignInForm()
    if not form.validate():
        return _form(form, 422)
    user = users.authenticate(form.values["name"], form.password.data)
    if user is None:
        form.form_errors.append(_("The name or the password is wrong."))
        return _form(form, 422)
    enter(user)
    return redirect(local_path(request.form.get("next")), 303)


def _form(form: SignInForm, status: int = 200) -> Response:
    back = local_path(request.values.get("next"))
    return show("auth/login.html", "auth/_form.html", status, form=form, next=back)


@blueprint.post("/logout")
@open_to_all
def logout() -> ResponseReturnValue:
    if current_user.is_authenticated:
        sign_ins.end(me(), g.sign_in_id)
    logout_user()
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
