"""Importing a base: the form, its progress, and the form again with the cause where it failed."""

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
def begin() -> ResponseReturnValue:
    """Begin the import."""
    filled = ImportForm()
    sizes = {name: filled.values[name] or 0 for name in ("memory_mib", "vcpus")}
    if accepted := filled.submit(lambda: base_actions.request_import(me(), **filled.values | sizes)):
        return done(url_for("importing.progress", operation_id=accepted.result.id))
    return _form(filled, 422)


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
    if operation.over:
        return _failed(operation)
    return show("bases/importing.html", "bases/_importing.html", operation=operation)


def _failed(operation: Operation) -> Response:
    values = operation.params | {"paths": "\n".join(operation.params.get("paths", []))}
    again = ImportForm(formdata=None, data=values)
    again.refuse(InvalidInput({operation.result.get("field", ""): operation.error}))
    return _form(again, 422)


def _form(filled: ImportForm, status: int = 200) -> Response:
    filled.offer(base_list.importable())
    return show("bases/import.html", "bases/_import_form.html", status, form=filled)
