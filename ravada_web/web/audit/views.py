"""Admin Tools › Audit: who did what, to which object, from where, when, with what result."""

import csv
import io
from collections.abc import Iterator

from flask import Blueprint, Response, request, stream_with_context

from ravada_web.services.audit import log as audit_log
from ravada_web.services.audit.log import Filters
from ravada_web.web import asked
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import show

blueprint = Blueprint("audit", __name__, url_prefix="/audit")
COLUMNS = ("at", "actor", "address", "action", "object_kind", "object_id", "object_name", "result", "text")


def _filters() -> Filters:
    names = Filters.__dataclass_fields__
    return Filters(**{name: request.args.get(name, "").strip() for name in names})


@blueprint.get("")
@needs("audit.see")
def index() -> Response:
    filters = _filters()
    page = audit_log.listing(me(), filters, asked.page())
    return show("audit/index.html", "audit/_table.html", filters=filters, page=page)


@blueprint.get("/export")
@needs("audit.see")
def export() -> Response:
    """All lines that the filters leave, as CSV."""
    lines = _csv(me(), _filters())
    answer = Response(stream_with_context(lines), mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return answer


def _csv(viewer: object, filters: Filters) -> Iterator[str]:
    yield _line(COLUMNS)
    for event in audit_log.export(viewer, filters):  # type: ignore[arg-type]
        yield _line([_cell(getattr(event, name)) for name in COLUMNS])


def _line(cells: object) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)  # type: ignore[arg-type]
    return text.getvalue()


def _cell(value: object) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
