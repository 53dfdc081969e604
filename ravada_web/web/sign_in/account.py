"""One's own account: language, password, sessions, second factor."""

from flask import Blueprint, Response, g, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.services.people import users
from ravada_web.services.sign_in import failures, passwords, second_factor, sessions
from ravada_web.services.sign_in import listing as sign_in_list
from ravada_web.web import language
from ravada_web.web.guard import me
from ravada_web.web.htmx import done, show
from ravada_web.web.sign_in.forms import ConfirmForm, LanguageForm, PasswordForm, SetUpForm

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
def index() -> Response:
    """One’s own account."""
    return _page(ConfirmForm())


def _page(confirm: ConfirmForm, status: int = 200, languages: LanguageForm | None = None) -> Response:
    shown = {
        "confirm": confirm,
        "languages": languages or LanguageForm(formdata=None, language=me().language),
        "this": g.session_id,
        **vars(sign_in_list.account(me())),
    }
    return show("account/index.html", "account/_account.html", status, **shown)


@blueprint.post("/failures/seen")
def acknowledge_failures() -> ResponseReturnValue:
    """Be told no more of the attempts that failed."""
    failures.acknowledge(me())
    return done(url_for("account.index"))


@blueprint.post("/language")
def set_language() -> ResponseReturnValue:
    """Choose the language of the pages."""
    form = LanguageForm()
    if form.submit(lambda: users.set_language(me(), form.language.data)):
        language.choose_again()
        return done(url_for("account.index"), _("Language changed."))
    return _page(ConfirmForm(formdata=None), 422, form)


@blueprint.get("/password")
def password() -> Response:
    """The form of a new password."""
    return _password_form(PasswordForm())


@blueprint.post("/password")
def change_password() -> ResponseReturnValue:
    """Change one’s own password."""
    form = PasswordForm()
    present, password = form.present.data, form.password.data
    if accepted := form.submit(lambda: passwords.change_password(me(), present, password, g.session_id)):
        ended = accepted.result
        others = ngettext("%(num)s other session ended.", "%(num)s other sessions ended.", ended)
        return done(url_for("account.index"), f"{_('Password changed.')} {others if ended else ''}".strip())
    return _password_form(form, 422)


def _password_form(form: PasswordForm, status: int = 200) -> Response:
    return show("account/password.html", "account/_password_form.html", status, form=form)


@blueprint.post("/sign-ins/<int:sign_in_id>/end")
def end_sign_in(sign_in_id: int) -> ResponseReturnValue:
    """End one of one’s own sessions."""
    sessions.end(me(), sign_in_id)
    return done(url_for("account.index"), _("Session ended."))


@blueprint.post("/sign-ins/end-others")
def end_others() -> ResponseReturnValue:
    """End all of one’s own sessions but this one."""
    ended = sessions.end_all(me(), me(), keep=g.session_id)
    return done(url_for("account.index"), ngettext("%(num)s session ended.", "%(num)s sessions ended.", ended))


@blueprint.get("/second-factor")
def set_up() -> ResponseReturnValue:
    """The secret of a second factor, to be confirmed."""
    if me().has_second_factor:
        return done(url_for("account.index"))
    return _set_up_form(SetUpForm())


@blueprint.post("/second-factor")
def confirm() -> ResponseReturnValue:
    """Confirm the second factor by a code."""
    form = SetUpForm()
    if accepted := form.submit(lambda: second_factor.enable(me(), form.values["code"], form.password.data or "")):
        return _codes(accepted.result)
    return _set_up_form(form, 422)


def _set_up_form(form: SetUpForm, status: int = 200) -> Response:
    shown = vars(sign_in_list.set_up(me()))
    return show("account/second_factor.html", "account/_second_factor.html", status, form=form, **shown)


def _codes(codes: list[str]) -> Response:
    """Shown in this one answer, which no browser keeps."""
    return show("account/codes.html", "account/codes.html", codes=codes)


@blueprint.post("/second-factor/codes")
def renew_codes() -> ResponseReturnValue:
    """Make new recovery codes."""
    form = ConfirmForm()
    if accepted := form.submit(lambda: second_factor.renew_codes(me(), form.password.data or "")):
        return _codes(accepted.result)
    return _page(form, 422)


@blueprint.post("/second-factor/off")
def disable_second_factor() -> ResponseReturnValue:
    """Disable the second factor."""
    form = ConfirmForm()
    if form.submit(lambda: second_factor.disable(me(), form.password.data or "")):
        return done(url_for("account.index"), _("Second factor disabled."))
    return _page(form, 422)
