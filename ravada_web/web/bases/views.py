"""Bases: list, overview, the Base tab with its nodes, prepare, remove; importing has a module of its own."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import listing as base_list
from ravada_web.web import parameters
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("bases", __name__, url_prefix="/bases")


@blueprint.get("")
@needs("bases.see")
def index() -> Response:
    """All bases."""
    return show("bases/index.html", "bases/_table.html", rows=base_list.listing(me()))


@blueprint.get("/<int:base_id>")
@needs("bases.see")
def base(base_id: int) -> Response:
    """One base."""
    return show("bases/base.html", "bases/_overview.html", **vars(base_list.base_page(me(), base_id)))


@blueprint.get("/<int:base_id>/base")
@needs("bases.see")
def tab(base_id: int) -> Response:
    """The nodes that may run the base."""
    base = base_list.get(me(), base_id)
    rows = base_list.tab(me(), base)
    groups = base_list.migration_groups(base, rows)
    return show("bases/tab.html", "bases/_nodes.html", base=base, rows=rows, groups=groups)


@blueprint.post("/<int:base_id>/base")
@needs("bases.change")
def allow(base_id: int) -> ResponseReturnValue:
    """Let exactly these nodes run the base."""
    base = base_list.get(me(), base_id)
    base_actions.allow(me(), base, request.form.getlist("node", type=parameters.number))
    return done(url_for("bases.tab", base_id=base_id), _("Saved."))


@blueprint.post("/<int:base_id>/prepare")
@needs("bases.change")
def prepare(base_id: int) -> ResponseReturnValue:
    """Make a version of the disks."""
    base_actions.prepare(me(), base_list.get(me(), base_id))
    return done(url_for("bases.base", base_id=base_id), _("Preparing the base."))


@blueprint.get("/<int:base_id>/remove")
@needs("bases.change")
def confirm_remove(base_id: int) -> Response:
    """What removing the base deletes."""
    base = base_list.get(me(), base_id)
    question = Question(
        title=_("Remove %(base)s?", base=base.name),
        effects=[
            _("Its prepared disks are deleted on every node. The original virtual machine or files are kept."),
            _("Not possible while it has desktops."),
        ],
        action=url_for("bases.remove", base_id=base_id),
        button=_("Remove base"),
        back=url_for("bases.base", base_id=base_id),
    )
    return show_question(question)


@blueprint.post("/<int:base_id>/remove")
@needs("bases.change")
def remove(base_id: int) -> ResponseReturnValue:
    """Remove the base."""
    base = base_list.get(me(), base_id)
    name = base.name
    base_actions.remove(me(), base)
    return done(url_for("bases.index"), _("Removing %(base)s.", base=name))
