"""The console: a clone's screen in the browser, its tickets, and who looks on."""

from flask import Blueprint, Response, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.errors import NotFound, RavadaError
from ravada_web.models import Clone, Operation
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.consoles import rights as console_rights
from ravada_web.services.consoles import tickets, viewer_files
from ravada_web.services.consoles.causes import CODES, PASSING, SENTENCES, Cause
from ravada_web.services.consoles.tickets import ConsoleRefused
from ravada_web.services.operations import listing as operation_list
from ravada_web.web.guard import me
from ravada_web.web.htmx import done, show

blueprint = Blueprint("console", __name__, url_prefix="/console")


@blueprint.get("/<int:clone_id>")
def page(clone_id: int) -> Response:
    clone = clone_list.get(me(), clone_id)
    console_rights.require_view(me(), clone)
    return show("console/page.html", "console/_status.html", **_context(clone), causes=_causes())


def _context(clone: Clone) -> dict[str, object]:
    return {
        "clone": clone,
        "looks_on": console_rights.is_onlooker(me(), clone),
        "viewers": console_rights.onlookers(clone),
        "no_file": viewer_files.impossible(me(), clone),
    }


def _causes() -> dict[int, dict[str, object]]:
    """What the close codes mean, for the page's script."""
    return {CODES[cause]: {"cause": cause, "text": str(SENTENCES[cause]), "again": cause in PASSING} for cause in Cause}


@blueprint.post("/<int:clone_id>/ticket")
def ticket(clone_id: int) -> ResponseReturnValue:
    """A ticket for this browser, or why there is none: for the page's script."""
    try:
        return jsonify(ticket=tickets.issue(me(), g.sign_in_id, clone_id))
    except ConsoleRefused as error:
        return jsonify(cause=error.cause, text=str(error), again=error.cause in PASSING), error.status
    except RavadaError as error:
        return jsonify(cause=Cause.REFUSED, text=str(error), again=False), error.status


@blueprint.post("/<int:clone_id>/viewers")
def viewers(clone_id: int) -> ResponseReturnValue:
    """The user refuses that others look on, or lets them again."""
    refused = request.form.get("refused") == "yes"
    console_rights.block_onlookers(me(), clone_id, refused)
    text = _("Screen viewing blocked.") if refused else _("Screen viewing allowed.")
    return done(url_for("console.page", clone_id=clone_id), text)


@blueprint.post("/<int:clone_id>/viewer")
def offer(clone_id: int) -> ResponseReturnValue:
    """Ask for a file for a viewer of the user's own."""
    operation = viewer_files.offer(me(), clone_id)
    return done(url_for("console.offered", clone_id=clone_id, operation_id=operation.id))


@blueprint.get("/<int:clone_id>/viewer/<int:operation_id>")
def offered(clone_id: int, operation_id: int) -> Response:
    """How far the file is; it is fetched once."""
    clone, operation = clone_list.get(me(), clone_id), _operation(clone_id, operation_id)
    return show("console/viewer.html", "console/_viewer.html", clone=clone, operation=operation)


@blueprint.get("/<int:clone_id>/viewer/<int:operation_id>/file")
def file(clone_id: int, operation_id: int) -> Response:
    clone, operation = clone_list.get(me(), clone_id), _operation(clone_id, operation_id)
    text = viewer_files.file_of(me(), clone_id, operation.id)
    answer = Response(text, mimetype="application/x-virt-viewer")
    answer.headers["Content-Disposition"] = f'attachment; filename="{clone.name}.vv"'
    return answer


def _operation(clone_id: int, operation_id: int) -> Operation:
    operation = operation_list.get(me(), operation_id, "viewer_offer")
    if operation.params.get("clone_id") != clone_id:
        raise NotFound(_("Operation not found."))
    return operation
