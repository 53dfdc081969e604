"""Admin Tools › Operations: what is under way, what waits and for what, what failed and why; retry and cancel."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from ravada_web.services.bases import listing as base_list
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.operations import queue_jobs, waiting
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.listing import Filters
from ravada_web.web import parameters
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, local_path, show

blueprint = Blueprint("operations", __name__, url_prefix="/operations")


@blueprint.get("")
@needs("operations.see")
def index() -> Response:
    """All operations, filtered."""
    arguments = request.args
    filters = Filters(
        state=arguments.get("state", ""),
        kind=arguments.get("kind", ""),
        search=arguments.get("search", "").strip(),
        user=arguments.get("user", "").strip(),
        **{name: arguments.get(name, type=parameters.number) for name in ("node_id", "base_id")},
    )
    page = operation_list.listing(me(), filters, parameters.page())
    shown = {"filters": filters, "page": page, "waiting": waiting.explain(me(), page.items)}
    shown["askers"] = operation_list.askers(me(), page.items)
    lists = {"nodes": node_list.choices(me()), "bases": base_list.choices(me())}
    return show("operations/index.html", "operations/_table.html", **shown, **lists)


@blueprint.get("/<int:operation_id>")
def operation(operation_id: int) -> Response:
    """One operation."""
    shown = vars(operation_list.operation_page(me(), operation_id))
    shown["clones"] = clone_list.of_operation(me(), operation_id)
    shown["still_on"] = clone_list.still_on(me(), shown["operation"])
    shown["sees_jobs"] = queue_jobs.may_see(me())
    return show("operations/operation.html", "operations/_operation.html", **shown)


@blueprint.get("/badge")
@needs("operations.see")
def badge() -> Response:
    """How many are under way, for the navigation."""
    return show("operations/badge.html", "operations/_badge.html")


@blueprint.post("/retry")
@needs("operations.control")
def retry() -> ResponseReturnValue:
    """Retry the selected operations."""
    retried = operation_requests.retry(me(), request.form.getlist("id", type=parameters.number))
    said = ngettext("Retrying %(num)s operation.", "Retrying %(num)s operations.", retried.count)
    return done(_back(), " ".join([said, *map(str, retried.left)]), "warning" if retried.left else "success")


@blueprint.post("/cancel")
@needs("operations.control")
def cancel() -> ResponseReturnValue:
    """Cancel the selected operations."""
    count = operation_requests.cancel(me(), request.form.getlist("id", type=parameters.number))
    return done(_back(), ngettext("%(num)s operation cancelled.", "%(num)s operations cancelled.", count))


def _back() -> str:
    return local_path(request.form.get("next"), url_for("operations.index"))
