"""Admin Tools › Audit: who did what, to which object, from where, when, with what result."""

from flask import Blueprint, Response, request, stream_with_context

from ravada_web.services.audit import log as audit_log
from ravada_web.services.audit.log import Filters
from ravada_web.web import parameters
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import show

blueprint = Blueprint("audit", __name__, url_prefix="/audit")


def _filters() -> Filters:
    names = Filters.__dataclass_fields__
    return Filters(**{name: request.args.get(name, "").strip() for name in names})


@blueprint.get("")
@needs("audit.see")
def index() -> Response:
    """The audit log, filtered."""
    filters = _filters()
    page = audit_log.listing(me(), filters, parameters.page())
    return show("audit/index.html", "audit/_table.html", filters=filters, page=page)


@blueprint.get("/export")
@needs("audit.see")
def export() -> Response:
    """All lines that the filters leave, as CSV."""
    lines = audit_log.export(me(), _filters())
    answer = Response(stream_with_context(lines), mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return answer
