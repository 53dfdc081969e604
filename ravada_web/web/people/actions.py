"""What can be done to one user: deactivate and activate, delete, reset the password and the second factor, end
sessions.
"""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.services.people import users
from ravada_web.services.sign_in import passwords, sessions
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done
from ravada_web.web.people.views import shown_once
from ravada_web.web.sign_in.forms import ConfirmForm

blueprint = Blueprint("people_actions", __name__, url_prefix="/users/<int:user_id>")


def _page(user_id: int) -> str:
    return url_for("people.person", user_id=user_id)


def _question(
    user_id: int, title: str, effects: list[str], endpoint: str, button: str, form: ConfirmForm | None = None
) -> Response:
    """The question; `form` asks for one's own password. Where it has errors, it is asked again."""
    action = url_for(f"people_actions.{endpoint}", user_id=user_id)
    question = Question(title=title, effects=effects, action=action, button=button, back=_page(user_id), form=form)
    return show_question(question, 422 if form and form.errors else 200)


@blueprint.get("/off")
@needs("users.change")
def confirm_off(user_id: int) -> Response:
    """What deactivating the user means."""
    name = users.get(me(), user_id).name
    effects = [
        _("%(name)s is signed out everywhere, open screens close, and sign-in is blocked.", name=name),
        _("Desktops are kept and keep running. You can activate %(name)s again.", name=name),
    ]
    return _question(user_id, _("Deactivate %(name)s?", name=name), effects, "deactivate", _("Deactivate"))


@blueprint.post("/off")
@needs("users.change")
def deactivate(user_id: int) -> ResponseReturnValue:
    """Deactivate the user."""
    user = users.get(me(), user_id)
    users.deactivate(me(), user)
    return done(_page(user_id), _("%(name)s deactivated.", name=user.name))


@blueprint.post("/on")
@needs("users.change")
def activate(user_id: int) -> ResponseReturnValue:
    """Activate the user."""
    user = users.get(me(), user_id)
    users.activate(me(), user)
    return done(_page(user_id), _("%(name)s can sign in again.", name=user.name))


@blueprint.get("/delete")
@needs("users.change")
def confirm_delete(user_id: int) -> Response:
    """What deleting the user means."""
    name = users.get(me(), user_id).name
    effects = [
        _("Group memberships, quota and personal offers are deleted too. This cannot be undone.", name=name),
        _("Not possible while they own desktops. The audit log keeps the name."),
    ]
    return _question(user_id, _("Delete %(name)s?", name=name), effects, "delete", _("Delete"))


@blueprint.post("/delete")
@needs("users.change")
def delete(user_id: int) -> ResponseReturnValue:
    """Delete the user."""
    user = users.get(me(), user_id)
    name = user.name
    users.delete(me(), user)
    return done(url_for("people.index"), _("%(name)s deleted.", name=name))


@blueprint.get("/password")
@needs("users.change")
def confirm_password(user_id: int) -> Response:
    """What resetting the password means."""
    return _password_question(user_id, ConfirmForm(formdata=None))


def _password_question(user_id: int, form: ConfirmForm) -> Response:
    name = users.get(me(), user_id).name
    effects = [
        _("The current password stops working, and %(name)s is signed out everywhere.", name=name),
        _("A new one is generated and shown to you once. It must be changed at the next sign-in."),
    ]
    title = _("Reset the password of %(name)s?", name=name)
    return _question(user_id, title, effects, "reset_password", _("Reset password"), form)


@blueprint.post("/password")
@needs("users.change")
def reset_password(user_id: int) -> ResponseReturnValue:
    """Reset the password, and show the new one once."""
    user, form = users.get(me(), user_id), ConfirmForm()
    if accepted := form.submit(lambda: passwords.reset_password(me(), user, form.password.data or "")):
        return shown_once(user, accepted.result)
    return _password_question(user_id, form)


@blueprint.get("/second-factor")
@needs("users.change")
def confirm_second_factor(user_id: int) -> Response:
    """What removing the second factor means."""
    return _second_factor_question(user_id, ConfirmForm(formdata=None))


def _second_factor_question(user_id: int, form: ConfirmForm) -> Response:
    name = users.get(me(), user_id).name
    effects = [
        _("For a lost phone. First make sure that the request really comes from %(name)s.", name=name),
        _(
            "Until a new one is set up, the password alone is enough to sign in. %(name)s is signed out everywhere.",
            name=name,
        ),
    ]
    title = _("Remove the second factor of %(name)s?", name=name)
    return _question(user_id, title, effects, "reset_second_factor", _("Remove second factor"), form)


@blueprint.post("/second-factor")
@needs("users.change")
def reset_second_factor(user_id: int) -> ResponseReturnValue:
    """Remove the second factor."""
    user, form = users.get(me(), user_id), ConfirmForm()
    if form.submit(lambda: passwords.reset_second_factor(me(), user, form.password.data or "")):
        return done(_page(user_id), _("Second factor of %(name)s removed.", name=user.name))
    return _second_factor_question(user_id, form)


@blueprint.post("/sign-ins/end-all")
@needs("users.change")
def end_sign_ins(user_id: int) -> ResponseReturnValue:
    """End all sessions of the user."""
    ended = sessions.end_all(me(), users.get(me(), user_id))
    return done(_page(user_id), ngettext("%(num)s session ended.", "%(num)s sessions ended.", ended))
