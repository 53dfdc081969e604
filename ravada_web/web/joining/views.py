"""Adding a node, its first step: its address, then its host key's fingerprint; the rest is the guide's."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from ravada_web.errors import InvalidInput
from ravada_web.models import Operation, OperationState
from ravada_web.services.joining import host_keys
from ravada_web.services.operations import listing as operation_list
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.nodes.forms import NodeForm

blueprint = Blueprint("joining", __name__, url_prefix="/nodes/add")


@blueprint.get("")
@needs("nodes.change")
def add() -> Response:
    """The form of a new node."""
    return _form(NodeForm())


@blueprint.post("")
@needs("nodes.change")
def begin() -> ResponseReturnValue:
    """Read the host key."""
    form = NodeForm()
    if accepted := form.submit(lambda: host_keys.request_join(me(), **form.values)):
        return done(url_for("joining.progress", operation_id=accepted.result.id))
    return _form(form, 422)


@blueprint.get("/<int:operation_id>")
@needs("nodes.change")
def progress(operation_id: int) -> ResponseReturnValue:
    """How far it is: under way, a fingerprint to accept, or the form again with the cause beside its field."""
    operation = operation_list.get(me(), operation_id, "node_scan")
    if operation.state in (OperationState.FAILED, OperationState.CANCELLED):
        return _failed(operation)
    return _step(operation)


@blueprint.post("/<int:operation_id>")
@needs("nodes.change")
def accept(operation_id: int) -> ResponseReturnValue:
    """Accept the host key that was read."""
    operation = host_keys.accept_join(me(), operation_id, request.form.get("fingerprint", ""))
    return done(url_for("guide.steps", node_id=operation.node_id))


def _step(operation: Operation) -> Response:
    return show("nodes/joining.html", "nodes/_joining.html", operation=operation)


def _failed(operation: Operation) -> Response:
    """The cause beside the field it is about; a node that is known already has no form to show again."""
    if operation.params.get("node_id"):
        return _step(operation)
    form = NodeForm(formdata=None, data=operation.params)
    form.refuse(InvalidInput({operation.result.get("field", ""): operation.error}))
    return _form(form, 422)


def _form(form: NodeForm, status: int = 200) -> Response:
    return show("nodes/add.html", "nodes/_add_form.html", status, form=form)
