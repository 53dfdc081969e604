"""The guided joining of a node: trust, access, checks and verification on one page that can be left and resumed."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.services.joining import identification, inspection, key_install, remedies, verification
from ravada_web.services.joining import progress as joining_progress
from ravada_web.services.nodes import listing as node_list
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.joining.forms import PasswordForm

blueprint = Blueprint("guide", __name__, url_prefix="/nodes/<int:node_id>/join")


def _steps(node_id: int) -> str:
    return url_for("guide.steps", node_id=node_id)


def _page(node_id: int, form: PasswordForm, status: int = 200) -> Response:
    guide = joining_progress.read(me(), node_list.get(me(), node_id))
    return show("nodes/guide.html", "nodes/_guide.html", status, guide=guide, node=guide.node, form=form)


@blueprint.get("")
@needs("nodes.change")
def steps(node_id: int) -> Response:
    """How far the node is on its way."""
    return _page(node_id, PasswordForm(formdata=None))


@blueprint.post("/check")
@needs("nodes.change")
def check(node_id: int) -> ResponseReturnValue:
    """Check the node again."""
    inspection.request_inspection(me(), node_list.get(me(), node_id))
    return done(_steps(node_id))


@blueprint.post("/key")
@needs("nodes.change")
def key(node_id: int) -> ResponseReturnValue:
    """Install the key with a password, which only the job sees."""
    node, form = node_list.get(me(), node_id), PasswordForm()
    if form.submit(lambda: key_install.request_key_install(me(), node, form.password.data)):
        return done(_steps(node_id))
    return _page(node_id, form, 422)


@blueprint.get("/mend")
@needs("nodes.change")
def confirm_fix(node_id: int) -> Response:
    """Show the commands that are to be run, as they will be run."""
    node = node_list.get(me(), node_id)
    chosen = remedies.remedies(node, request.args.getlist("code"))
    many = ngettext(
        "%(num)s command will run as root on %(node)s:",
        "%(num)s commands will run as root on %(node)s:",
        len(chosen),
        node=node.name,
    )
    question = Question(
        title=_("Fix %(node)s?", node=node.name),
        effects=[many if chosen else _("Nothing left to fix here. Run the checks again.")],
        commands=[finding.remedy for finding in chosen],
        action=url_for("guide.fix", node_id=node_id, code=[finding.code for finding in chosen]),
        button=_("Run commands"),
        back=_steps(node_id),
        danger=False,
    )
    return show_question(question)


@blueprint.post("/mend")
@needs("nodes.change")
def fix(node_id: int) -> ResponseReturnValue:
    """Run the fixes of the selected findings."""
    remedies.request_fix(me(), node_list.get(me(), node_id), request.args.getlist("code"))
    return done(_steps(node_id))


@blueprint.post("/prove")
@needs("nodes.change")
def verify(node_id: int) -> ResponseReturnValue:
    """Run a test VM on the node, then enable it."""
    verification.request_verification(me(), node_list.get(me(), node_id))
    return done(_steps(node_id))


@blueprint.get("/node")
@needs("nodes.change")
def confirm_node(node_id: int) -> Response:
    """What it means to take the host with another key for the node."""
    node = node_list.get(me(), node_id)
    question = Question(
        title=_("Is this host %(node)s?", node=node.name),
        effects=[
            str(identification.said_of(node)),
            _(
                "Its new host key and machine ID become those of the node, and it is checked. Desktops that are not "
                "defined there are shown as failed; nothing is deleted."
            ),
        ],
        action=url_for("guide.accept_node", node_id=node_id),
        button=_("It is %(node)s", node=node.name),
        back=_steps(node_id),
    )
    return show_question(question)


@blueprint.post("/node")
@needs("nodes.change")
def accept_node(node_id: int) -> ResponseReturnValue:
    """Take the host with another key for the node, and check it."""
    identification.accept_as_node(me(), node_list.get(me(), node_id))
    inspection.request_inspection(me(), node_list.get(me(), node_id))
    return done(_steps(node_id))
