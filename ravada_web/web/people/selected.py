"""What can be done to the users that are selected in the list."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.errors import InvalidInput
from ravada_web.services.people import groups, selected
from ravada_web.services.people.selected import Outcome
from ravada_web.web import parameters
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, local_path

blueprint = Blueprint("people_selected", __name__, url_prefix="/users/selected")


def _ids() -> list[int]:
    ids = request.values.getlist("id", type=parameters.number)
    if not ids:
        raise InvalidInput({"id": _("Select at least one user first.")})
    return ids


def _back() -> str:
    return local_path(request.values.get("next"), url_for("people.index"))


def _question(title: str, effects: list[str], endpoint: str, button: str, **more: object) -> Response:
    chosen = selected.chosen(me(), _ids())
    question = Question(
        title=title,
        effects=effects,
        action=url_for(f"people_selected.{endpoint}"),
        button=button,
        back=_back(),
        names=[user.name for user in chosen],
        fields=[("id", str(user.id)) for user in chosen],
        **more,  # type: ignore[arg-type]
    )
    return show_question(question)


def _said(outcome: Outcome, text: str) -> ResponseReturnValue:
    skipped = [f"{user.name}: {why}" for user, why in outcome.skipped]
    return done(_back(), " ".join([text, *skipped]), "warning" if skipped else "success")


@blueprint.get("/off")
@needs("users.change")
def confirm_off() -> Response:
    """What deactivating them means."""
    effects = [
        _("They are signed out everywhere, open screens close, and sign-in is blocked."),
        _("Desktops are kept and keep running. You can activate them again."),
    ]
    count = len(selected.chosen(me(), _ids()))
    title = ngettext("Deactivate %(num)s user?", "Deactivate %(num)s users?", count)
    return _question(title, effects, "deactivate", _("Deactivate"))


@blueprint.post("/off")
@needs("users.change")
def deactivate() -> ResponseReturnValue:
    """Deactivate them."""
    outcome = selected.deactivate(me(), _ids())
    return _said(outcome, ngettext("%(num)s user deactivated.", "%(num)s users deactivated.", len(outcome.done)))


@blueprint.get("/on")
@needs("users.change")
def confirm_on() -> Response:
    """What activating them means, asked without JavaScript alone."""
    count = len(selected.chosen(me(), _ids()))
    title = ngettext("Activate %(num)s user?", "Activate %(num)s users?", count)
    return _question(title, [_("They can sign in again.")], "activate", _("Activate"), danger=False)


@blueprint.post("/on")
@needs("users.change")
def activate() -> ResponseReturnValue:
    """Activate them."""
    outcome = selected.activate(me(), _ids())
    return _said(outcome, ngettext("%(num)s user activated.", "%(num)s users activated.", len(outcome.done)))


@blueprint.get("/group")
@needs("users.change")
def confirm_group() -> Response:
    """Which group they are to be in."""
    count = len(selected.chosen(me(), _ids()))
    title = ngettext("Add %(num)s user to a group", "Add %(num)s users to a group", count)
    choices = [(str(group.id), group.name, group.description) for group in groups.listing(me())]
    if not choices:
        raise InvalidInput({"id": _("There is no group yet. Create one first.")})
    effects = [_("They are offered its bases, and its quota applies to them.")]
    return _question(title, effects, "add_to_group", _("Add"), choices=choices, danger=False)


@blueprint.post("/group")
@needs("users.change")
def add_to_group() -> ResponseReturnValue:
    """Add them to it."""
    group_id = request.form.get("choice", 0, type=parameters.number)
    group, added = selected.add_to_group(me(), _ids(), group_id or 0)
    text = ngettext("%(num)s user added to %(group)s.", "%(num)s users added to %(group)s.", added, group=group.name)
    return done(_back(), text)
