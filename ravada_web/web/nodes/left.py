"""What is left on a node: listed, brought back, exported, ignored, deleted."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import StringField
from wtforms.validators import InputRequired

from ravada_web.models import Node, Remains, RemainsKind
from ravada_web.services.lifecycle import exports, orphans
from ravada_web.services.nodes import listing as node_list
from ravada_web.web import parameters
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.forms import Form
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, local_path, show

blueprint = Blueprint("left", __name__, url_prefix="/nodes")


class OwnerForm(Form):
    """Whose desktop it is to be."""

    owner = StringField(_l("Owner"), [InputRequired(_l("Enter the name of a user."))])


_DELETIONS = {
    RemainsKind.MACHINE: _l(
        "Its virtual machine and its disks are permanently deleted there as soon as the node answers."
    ),
    RemainsKind.CLONE_FILES: _l("These files, and what users kept in them, are permanently deleted there."),
    RemainsKind.BASE_FILES: _l(
        "These files are permanently deleted there. Make sure that no virtual machine of your own stands on them."
    ),
    RemainsKind.UNFINISHED: _l("These files are permanently deleted there."),
}


def _back(node_id: int) -> str:
    """Where the person came from: the list of what is left, or the node's page."""
    return local_path(request.values.get("next"), url_for("left.index", node_id=node_id))


@blueprint.get("/<int:node_id>/left")
@needs("nodes.change")
def index(node_id: int) -> Response:
    """What is left on the node, or the orphans that are ignored."""
    node, ignored = node_list.get(me(), node_id), "ignored" in request.args
    page = orphans.page(me(), node, parameters.page(), ignored=ignored)
    count = orphans.count_ignored(me(), node)
    return show("nodes/left.html", "nodes/_left_page.html", node=node, left=page, ignored=ignored, ignored_count=count)


@blueprint.get("/<int:node_id>/left/<int:remains_id>/bring-back")
@needs("nodes.change")
def confirm_bring_back(node_id: int, remains_id: int) -> Response:
    """Whose desktop it is to be."""
    node = node_list.get(me(), node_id)
    row = orphans.get(me(), node, remains_id)
    return _ask_owner(node, row, OwnerForm(formdata=None, data={"owner": row.owner_name}))


def _ask_owner(node: Node, row: Remains, form: OwnerForm, status: int = 200) -> Response:
    question = Question(
        title=_("Bring %(name)s back?", name=row.name),
        effects=[
            _("It is a desktop again, on %(node)s, with the disks and addresses that it has there.", node=node.name)
        ],
        action=url_for("left.bring_back", node_id=node.id, remains_id=row.id),
        button=_("Bring back"),
        back=_back(node.id),
        form=form,
        danger=False,
    )
    return show_question(question, status)


@blueprint.post("/<int:node_id>/left/<int:remains_id>/bring-back")
@needs("nodes.change")
def bring_back(node_id: int, remains_id: int) -> ResponseReturnValue:
    """Make a desktop again of what stands there."""
    node, form = node_list.get(me(), node_id), OwnerForm()
    row = orphans.get(me(), node, remains_id)
    name = row.name
    if form.submit(lambda: orphans.bring_back(me(), node, remains_id, form.owner.data or "")):
        return done(_back(node_id), _("%(name)s is a desktop again.", name=name))
    return _ask_owner(node, row, form, 422)


@blueprint.post("/<int:node_id>/left/<int:remains_id>/export")
@needs("nodes.change")
def export(node_id: int, remains_id: int) -> ResponseReturnValue:
    """Export its disks."""
    operation = exports.request(me(), node_list.get(me(), node_id), remains_id)
    return done(url_for("operations.operation", operation_id=operation.id))


@blueprint.post("/<int:node_id>/left/<int:remains_id>/ignore")
@needs("nodes.change")
def ignore(node_id: int, remains_id: int) -> ResponseReturnValue:
    """Show it no longer, until it changes."""
    orphans.ignore(me(), node_list.get(me(), node_id), remains_id)
    return done(_back(node_id), _("It is no longer listed, until it changes."))


@blueprint.post("/<int:node_id>/left/<int:remains_id>/list-again")
@needs("nodes.change")
def list_again(node_id: int, remains_id: int) -> ResponseReturnValue:
    """Show it again."""
    orphans.list_again(me(), node_list.get(me(), node_id), remains_id)
    return done(_back(node_id), _("It is listed again."))


@blueprint.post("/<int:node_id>/left/look")
@needs("nodes.change")
def look(node_id: int) -> ResponseReturnValue:
    """Look for orphans."""
    operation = orphans.request_look(me(), node_list.get(me(), node_id))
    return done(url_for("operations.operation", operation_id=operation.id))


@blueprint.get("/<int:node_id>/left/<int:remains_id>/delete")
@needs("nodes.change")
def confirm_delete(node_id: int, remains_id: int) -> Response:
    """What deleting it there means."""
    node = node_list.get(me(), node_id)
    row = orphans.get(me(), node, remains_id)
    question = Question(
        title=_("Delete %(name)s on %(node)s?", name=row.name, node=node.name),
        effects=[_DELETIONS[RemainsKind(row.kind)]],
        commands=["\n".join(row.files)],
        action=url_for("left.delete", node_id=node_id, remains_id=remains_id),
        button=_("Delete"),
        back=_back(node_id),
    )
    return show_question(question)


@blueprint.post("/<int:node_id>/left/<int:remains_id>/delete")
@needs("nodes.change")
def delete(node_id: int, remains_id: int) -> ResponseReturnValue:
    """Have it deleted there."""
    orphans.delete(me(), node_list.get(me(), node_id), remains_id)
    return done(_back(node_id), _("It is deleted there as soon as the node answers."))
