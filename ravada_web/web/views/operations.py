"""Admin Tools › Operations: what is under way, what failed and why; retry and cancel."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from ravada_web.services import nodes, operations
from ravada_web.services.operations import Filters
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, local_path, show

blueprint = Blueprint("operations", __name__, url_prefix="/operations")


@blueprint.get("")
@needs("operations.see")
def index() -> Response:
    asked = request.args
    filters = Filters(
        state=asked.get("state", ""),
        kind=asked.get("kind", ""),
        node_id=asked.get("node_id", type=int),
        search=asked.get("search", "").strip(),
    )
    page = operations.listing(me(), filters, asked.get("page", 1, type=int))
    known = nodes.listing(me())
    return show("operations/index.html", "operations/_table.html", filters=filters, page=page, nodes=known)


@blueprint.get("/badge")
@needs("operations.see")
def badge() -> Response:
    """How many are under way, for the navigation."""
    return show("operations/badge.html", "operations/_badge.html")


@blueprint.post("/retry")
@needs("operations.control")
def retry() -> ResponseReturnValue:
    count = operations.retry(me(), request.form.getlist("id", type=int))
    return done(_back(), ngettext("%(num)s operation is tried again.", "%(num)s operations are tried again.", count))


@blueprint.post("/cancel")
@needs("operations.control")
def cancel() -> ResponseReturnValue:
    count = operations.cancel(me(), request.form.getlist("id", type=int))
    return done(_back(), ngettext("%(num)s operation is cancelled.", "%(num)s operations are cancelled.", count))


def _back() -> str:
    return local_path(request.form.get("next"), url_for("operations.index"))
