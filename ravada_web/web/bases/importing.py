"""Importing a base: the form, what would become of each element of the original, the import's progress."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.errors import InvalidInput
from ravada_web.models import Operation, OperationState
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import listing as base_list
from ravada_web.services.operations import listing as operation_list
from ravada_web.web.bases.forms import ImportForm
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("importing", __name__, url_prefix="/bases/import")


@blueprint.get("")
@needs("bases.change")
def form() -> Response:
    """Where the disks of a new base come from."""
    return _form(ImportForm())


@blueprint.post("")
@needs("bases.change")
def inspect() -> ResponseReturnValue:
    """Begin to read what would be imported."""
    filled = ImportForm()
    sizes = {name: filled.values[name] or 0 for name in ("memory_mib", "vcpus")}
    if accepted := filled.submit(lambda: base_actions.request_inspection(me(), **filled.values | sizes)):
        return done(url_for("importing.listed", operation_id=accepted.result.id))
    return _form(filled, 422)


@blueprint.get("/listed/<int:operation_id>")
@needs("bases.change")
def listed(operation_id: int) -> ResponseReturnValue:
    """What would become of each element of the original, once it has been read."""
    inspection = operation_list.get(me(), operation_id, "base_inspect")
    if inspection.state == OperationState.DONE:
        lines = base_list.listed(inspection)
        return show("bases/listed.html", "bases/_listed.html", operation=inspection, lines=lines)
    return _progress(inspection)


@blueprint.post("/listed/<int:operation_id>")
@needs("bases.change")
def begin(operation_id: int) -> ResponseReturnValue:
    """Begin the import of what was listed."""
    inspection = operation_list.get(me(), operation_id, "base_inspect")
    try:
        operation = base_actions.request_import_as_listed(me(), inspection)
    except InvalidInput as error:
        return _again(inspection, error)
    return done(url_for("importing.progress", operation_id=operation.id))


@blueprint.post("/listed/<int:operation_id>/again")
@needs("bases.change")
def inspect_again(operation_id: int) -> ResponseReturnValue:
    """Read the same original anew."""
    inspection = operation_list.get(me(), operation_id, "base_inspect")
    try:
        operation = base_actions.inspect_again(me(), inspection)
    except InvalidInput as error:
        return _again(inspection, error)
    return done(url_for("importing.listed", operation_id=operation.id))


@blueprint.get("/<int:operation_id>")
@needs("bases.change")
def progress(operation_id: int) -> ResponseReturnValue:
    """How far an import is."""
    operation = operation_list.get(me(), operation_id, "base_import")
    if operation.state == OperationState.DONE:
        text = _(
            "%(base)s imported. Prepare it, then choose its nodes.",
            base=operation.params["name"],
        )
        return done(url_for("bases.base", base_id=operation.result["base_id"]), text)
    return _progress(operation)


def _progress(operation: Operation) -> Response:
    """How far it is, or the form again with the cause where it failed."""
    if operation.over:
        return _again(operation, InvalidInput({operation.result.get("field", ""): operation.error}))
    return show("bases/importing.html", "bases/_importing.html", operation=operation)


def _again(operation: Operation, refused: InvalidInput) -> Response:
    values = operation.params | {"paths": "\n".join(operation.params.get("paths", []))}
    again = ImportForm(formdata=None, data=values)
    again.refuse(refused)
    return _form(again, 422)


def _form(filled: ImportForm, status: int = 200) -> Response:
    filled.offer(base_list.importable())
    return show("bases/import.html", "bases/_import_form.html", status, form=filled)
