"""Clones: list with filters, create, show, act on one or a selection."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.errors import InvalidInput
from ravada_web.services.bases import listing as base_list
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones.errors import NoNodeAllowed, NoRoom
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.desktops import listing as desktop_list
from ravada_web.services.moves import under_way
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.permissions import rights
from ravada_web.web import parameters
from ravada_web.web.clones import actions as clone_actions
from ravada_web.web.clones.forms import ClonesForm
from ravada_web.web.confirm import show_question
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, local_path, show

blueprint = Blueprint("clones", __name__, url_prefix="/clones")
ACTION = f"any({','.join(map(repr, clone_actions.ACTIONS))})"


@blueprint.get("")
@needs("clones.see_all")
def index() -> Response:
    """All clones, filtered."""
    arguments = request.args
    filters = clone_list.Filters(
        search=arguments.get("search", "").strip(),
        state=arguments.get("state", ""),
        owner=arguments.get("owner", "").strip(),
        **{name: arguments.get(name, type=parameters.number) for name in ("base_id", "node_id")},
    )
    page = clone_list.listing(me(), filters, parameters.page())
    lists = {"bases": base_list.choices(me()), "nodes": node_list.choices(me())}
    moves = under_way.of_clones(me(), page.items)
    return show("clones/index.html", "clones/_table.html", page=page, filters=filters, moves=moves, **lists)


@blueprint.get("/new")
@needs("clones.create")
def new() -> Response:
    """The form of new clones."""
    form = ClonesForm(
        data={"owner": me().name, "base_id": request.args.get("base_id", type=parameters.number), "count": 1}
    )
    return _form(form)


@blueprint.post("/new")
@needs("clones.create")
def create() -> ResponseReturnValue:
    """Create clones, or say why not all of them fit."""
    form, shortage = ClonesForm(), {}
    values = form.values | {"base_id": form.base_id.data or 0}
    try:
        if form.submit(lambda: request_clones(me(), Request(**values))):
            text = ngettext("Creating %(num)s desktop.", "Creating %(num)s desktops.", values["count"])
            return done(url_for("clones.index", search=f"{values['prefix']}-"), text)
    except NoRoom as error:
        shortage = {"decision": error.decision.to_dict()}
    except NoNodeAllowed as error:
        shortage = {"no_node": str(error), "base_id": error.base_id}
    return _form(form, 422, **shortage)


def _form(form: ClonesForm, status: int = 200, **shortage: object) -> Response:
    form.offer(base_list.cloneable(me()))
    return show("clones/new.html", "clones/_new_form.html", status, form=form, shortage=shortage)


@blueprint.get("/<int:clone_id>")
def clone(clone_id: int) -> Response:
    """One clone."""
    return show("clones/clone.html", "clones/_clone.html", **vars(desktop_list.clone_page(me(), clone_id)))


@blueprint.get(f"/<{ACTION}:action>")
def confirm(action: str) -> Response:
    """What the action does to the selected clones."""
    ids = request.args.getlist("id", type=parameters.number)
    if not ids:
        raise InvalidInput({"id": _("Select at least one desktop first.")})
    chosen, outcome = clone_actions.ACTIONS[action].service.preview(me(), ids)
    return show_question(clone_actions.question(action, chosen, outcome, _back()))


@blueprint.post(f"/<{ACTION}:action>")
def act(action: str) -> ResponseReturnValue:
    """Do it to the selected clones, and name those that it cannot be done to."""
    ids = request.form.getlist("id", type=parameters.number)
    outcome = clone_actions.ACTIONS[action].service(me(), ids).require_some()
    text, kind = clone_actions.said(action, outcome, request.form.get("left", 0, type=parameters.number))
    return done(_back(), text, kind)


def _back() -> str:
    default = url_for("clones.index") if rights.can(me(), "clones.see_all") else "/"
    return local_path(request.values.get("next"), default)
