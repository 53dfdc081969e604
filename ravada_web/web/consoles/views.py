"""The console: a clone's screen in the browser, its tickets, and who looks on."""

from flask import Blueprint, Response, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.errors import RavadaError
from ravada_web.services.consoles import listing as console_list
from ravada_web.services.consoles import rights as console_rights
from ravada_web.services.consoles import tickets, viewer_files
from ravada_web.services.consoles.causes import CODES, PASSING, Cause, closed
from ravada_web.services.consoles.tickets import ConsoleRefused
from ravada_web.web.guard import me
from ravada_web.web.htmx import done, show

blueprint = Blueprint("console", __name__, url_prefix="/console")


@blueprint.get("/<int:clone_id>")
def page(clone_id: int) -> Response:
    """The screen of a clone."""
    shown = vars(console_list.console(me(), clone_id))
    return show("console/page.html", "console/_status.html", **shown, causes=_causes())


def _causes() -> dict[int, dict[str, object]]:
    """What the close codes mean, for the page's script."""
    return {CODES[cause]: {"cause": cause, "text": str(closed(cause)), "again": cause in PASSING} for cause in Cause}


@blueprint.post("/<int:clone_id>/ticket")
def ticket(clone_id: int) -> ResponseReturnValue:
    """A ticket for this browser, or why there is none: for the page's script."""
    try:
        return jsonify(ticket=tickets.issue(me(), g.session_id, clone_id))
    except ConsoleRefused as error:
        return jsonify(cause=error.cause, text=str(error), again=error.cause in PASSING), error.status
    except RavadaError as error:
        return jsonify(cause=Cause.REFUSED, text=str(error), again=False), error.status


@blueprint.post("/<int:clone_id>/viewers")
def onlookers(clone_id: int) -> ResponseReturnValue:
    """The user blocks onlookers, or allows them again."""
    refused = request.form.get("refused") == "yes"
    console_rights.block_onlookers(me(), clone_id, refused)
    text = _("Screen viewing blocked.") if refused else _("Screen viewing allowed.")
    return done(url_for("console.page", clone_id=clone_id), text)


@blueprint.post("/<int:clone_id>/viewer")
def offer(clone_id: int) -> ResponseReturnValue:
    """Request a viewer file."""
    operation = viewer_files.offer(me(), clone_id)
    return done(url_for("console.offered", clone_id=clone_id, operation_id=operation.id))


@blueprint.get("/<int:clone_id>/viewer/<int:operation_id>")
def offered(clone_id: int, operation_id: int) -> Response:
    """How far the file is; it is fetched once."""
    shown = vars(console_list.viewer_file(me(), clone_id, operation_id))
    return show("console/viewer.html", "console/_viewer.html", **shown)


@blueprint.get("/<int:clone_id>/viewer/<int:operation_id>/file")
def file(clone_id: int, operation_id: int) -> Response:
    """The viewer file, once."""
    clone = console_list.viewer_file(me(), clone_id, operation_id).clone
    text = viewer_files.file_of(me(), clone_id, operation_id)
    answer = Response(text, mimetype="application/x-virt-viewer")
    answer.headers["Content-Disposition"] = f'attachment; filename="{clone.name}.vv"'
    return answer
