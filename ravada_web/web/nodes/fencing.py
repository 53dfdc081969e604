"""Power control of a node: its fence agent, the test, and turning it off."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.models import Node
from ravada_web.services.lifecycle import fence_agents, fencing
from ravada_web.services.nodes import listing as node_list
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.nodes.fence_form import FenceForm
from ravada_web.web.nodes.forms import TypedNameForm

blueprint = Blueprint("fencing", __name__, url_prefix="/nodes/<int:node_id>/fence")


def _page(node_id: int) -> str:
    return url_for("nodes.node", node_id=node_id)


def _remote(node_id: int) -> Node:
    node = node_list.get(me(), node_id)
    fencing.require_remote(node)
    return node


@blueprint.get("")
@needs("nodes.change")
def edit(node_id: int) -> Response:
    """The agent of a node, and what it wants to know."""
    node = _remote(node_id)
    fence = fencing.fence_of(me(), node)
    chosen = request.args.get("agent") or (fence.agent if fence else "")
    names = fence_agents.installed()
    # One that was set and is no longer installed is said; any other unknown name is none.
    form = FenceForm.of(fence_agents.describe(chosen), fence) if chosen in names else None
    return _shown(node, names, chosen, form)


@blueprint.post("")
@needs("nodes.change")
def save(node_id: int) -> ResponseReturnValue:
    """Set the agent of a node."""
    node = _remote(node_id)
    agent = fence_agents.describe(request.form.get("agent", ""))
    form = FenceForm.of(agent, fencing.fence_of(me(), node))
    if form.submit(lambda: fencing.configure(me(), node, agent, form.entered)):
        return done(_page(node_id), _("Power control saved. Test it now."))
    return _shown(node, fence_agents.installed(), agent.name, form, 422)


@blueprint.post("/test")
@needs("nodes.change")
def test(node_id: int) -> ResponseReturnValue:
    """Ask the agent whether the node is on."""
    fencing.request_test(me(), node_list.get(me(), node_id))
    return done(_page(node_id), _("Asking for the power state."))


@blueprint.get("/off")
@needs("nodes.change")
def confirm_off(node_id: int) -> Response:
    """What turning it off means; its name is to be typed."""
    return _off_question(_remote(node_id), TypedNameForm(formdata=None))


@blueprint.post("/off")
@needs("nodes.change")
def turn_off(node_id: int) -> ResponseReturnValue:
    """Turn the node off."""
    node, form = _remote(node_id), TypedNameForm()
    if form.submit(lambda: fencing.request_off(me(), node, form.typed.data or "")):
        return done(_page(node_id), _("%(node)s is being turned off.", node=node.name))
    return _off_question(node, form, 422)


@blueprint.get("/remove")
@needs("nodes.change")
def confirm_remove(node_id: int) -> Response:
    """Whether the agent's settings go."""
    node = node_list.get(me(), node_id)
    question = Question(
        title=_("Remove power control of %(node)s?", node=node.name),
        effects=[_("The stored options and passwords are deleted. The host itself is not touched.")],
        action=url_for("fencing.remove", node_id=node_id),
        button=_("Remove"),
        back=_page(node_id),
    )
    return show_question(question)


@blueprint.post("/remove")
@needs("nodes.change")
def remove(node_id: int) -> ResponseReturnValue:
    """Remove the agent of a node."""
    fencing.forget(me(), node_list.get(me(), node_id))
    return done(_page(node_id), _("Power control removed."))


def _shown(node: Node, names: list[str], chosen: str, form: FenceForm | None, status: int = 200) -> Response:
    context = {"node": node, "names": names, "chosen": chosen, "form": form}
    return show("nodes/fence.html", "nodes/_fence_form.html", status, **context)


def _off_question(node: Node, form: TypedNameForm, status: int = 200) -> Response:
    running = fencing.running_clones(node)
    effects = [
        _("The power is cut, without shutting down the host or its desktops."),
        _(
            "Once it is known to be off, its volatile desktops are made again on other nodes, and persistent ones may "
            "be started elsewhere from a copy, where there is one."
        ),
    ]
    if running:
        lost = ngettext(
            "%(num)s desktop is running there and loses unsaved work.",
            "%(num)s desktops are running there and lose unsaved work.",
            running,
        )
        effects.insert(1, lost)
    question = Question(
        title=_("Turn off %(node)s?", node=node.name),
        effects=effects,
        action=url_for("fencing.turn_off", node_id=node.id),
        button=_("Turn off"),
        back=_page(node.id),
        form=form,
    )
    return show_question(question, status)
