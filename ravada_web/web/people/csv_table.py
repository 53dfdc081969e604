"""Users as a table: download, upload, preview and import."""

from collections.abc import Sequence
from datetime import UTC, datetime

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.services import csv_cells
from ravada_web.services.people import csv_import, csv_rows
from ravada_web.services.people.csv_rows import BadTable
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.people.forms import ImportForm, TableForm

blueprint = Blueprint("people_table", __name__, url_prefix="/users")


@blueprint.get("/download")
@needs("users.see")
def download() -> Response:
    """All users as a table."""
    answer = Response(csv_import.download(me()), mimetype="text/csv")
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    answer.headers["Content-Disposition"] = f'attachment; filename="users-{day}.csv"'
    return answer


@blueprint.get("/upload")
@needs("users.change")
def form() -> Response:
    """The form that takes a table of users."""
    return _form(TableForm(formdata=None))


@blueprint.post("/upload")
@needs("users.change")
def upload() -> ResponseReturnValue:
    """Check a table of users."""
    filled, bad = TableForm(), None
    try:
        choices = {"draws": filled.draws.data, "makes_groups": filled.makes_groups.data}
        if accepted := filled.submit(lambda: csv_import.preview(me(), filled.file.data.read(), **choices)):
            return done(url_for("people_table.preview", key=accepted.result.key))
    except BadTable as error:
        bad = error
    return _form(filled, 422, bad)


def _form(filled: TableForm, status: int = 200, bad: BadTable | None = None) -> Response:
    facts = {"columns": csv_rows.ACCEPTED, "rows": csv_rows.MOST_ROWS, "passwords": csv_rows.MOST_PASSWORDS}
    facts |= {"drawn": csv_rows.MOST_DRAWN}
    return show("people/upload.html", "people/_upload_form.html", status, form=filled, bad=bad, **facts)


@blueprint.get("/upload/<key>")
@needs("users.change")
def preview(key: str) -> Response:
    """What a checked table changes."""
    return _preview(key, ImportForm(formdata=None))


@blueprint.post("/upload/<key>/passwords")
@needs("users.change")
def hash_more(key: str) -> Response:
    """Make more of a checked table's passwords ready."""
    csv_import.hash_more(me(), key)
    return _preview(key, ImportForm(formdata=None))


def _preview(key: str, form: ImportForm, status: int = 200) -> Response:
    preview = csv_import.stored_preview(me(), key)
    return show("people/preview.html", "people/_preview.html", status, preview=preview, form=form)


@blueprint.post("/upload/<key>")
@needs("users.change")
def import_rows(key: str) -> ResponseReturnValue:
    """Import a checked table."""
    form = ImportForm()
    accepted = form.submit(lambda: csv_import.import_rows(me(), key, form.password.data or ""))
    if not accepted:
        return _preview(key, form, 422)
    preview = accepted.result
    text = _("%(made)s created, %(changed)s updated, %(left)s unchanged.",
             made=len(preview.created), changed=len(preview.changed), left=preview.left)  # fmt: skip
    if preview.drawn:
        return show(
            "people/sheet.html", "people/_sheet.html", drawn=preview.drawn, text=text, table=_sheet(preview.drawn)
        )
    return done(url_for("people.index"), text)


def _sheet(drawn: Sequence[tuple[str, str]]) -> str:
    """Names and passwords as a table for spreadsheets."""
    return "".join(csv_cells.line(row) for row in (("name", "password"), *drawn))
