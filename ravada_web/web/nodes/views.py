"""Admin Tools › Nodes: list, look at, change, enable and disable, remove; joining has a module of its own."""

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.models import Node
from ravada_web.services.audit import events
from ravada_web.services.bases import replicas
from ravada_web.services.joining import host_keys, identity
from ravada_web.services.lifecycle import (
    draining,
    fencing,
    host_power,
    known_off,
    orphans,
    removal,
    resting,
    service_state,
    waking,
)
from ravada_web.services.nodes import history as node_history
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.nodes import nics
from ravada_web.services.nodes import settings as node_settings
from ravada_web.services.placements import reserve
from ravada_web.services.storage import overview as storage_overview
from ravada_web.web import parameters
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, local_path, show, wants_fragment
from ravada_web.web.nodes.forms import NodeSettingsForm, TypedNameForm

blueprint = Blueprint("nodes", __name__, url_prefix="/nodes")

# So many of what is left on a node are on its page; the others have a page of their own.
LEFT_SHOWN = 5


def _page(node_id: int) -> str:
    return url_for("nodes.node", node_id=node_id)


def _back(node_id: int) -> str:
    """Where the person came from: the list, or the node's page."""
    return local_path(request.values.get("next"), _page(node_id))


@blueprint.get("")
@needs("nodes.see")
def index() -> Response:
    """All nodes."""
    search = request.args.get("search", "").strip()
    given_up = "given_up" in request.args
    page = node_list.page(me(), search, parameters.page(), given_up=given_up)
    gone = 0 if given_up or wants_fragment() else node_list.count_given_up(me())
    return show(
        "nodes/index.html",
        "nodes/_table.html",
        page=page,
        search=search,
        given_up=given_up,
        gone=gone,
        reserve=None if given_up or search else reserve.policy_for(me()),
    )


@blueprint.get("/<int:node_id>")
@needs("nodes.see")
def node(node_id: int) -> Response:
    """One node."""
    node = node_list.get(me(), node_id)
    history = events.recent(me(), "node", node_id)
    span = request.args.get("span", "hour")
    span = span if span in node_history.SPANS else "hour"
    return show(
        "nodes/node.html",
        "nodes/_node.html",
        node=node,
        row=node_list.row_of(node),
        shared=identity.shared(me(), node),
        pools=storage_overview.of_node(node),
        replicas=replicas.on_node(me(), node),
        left=orphans.page(me(), node, per_page=LEFT_SHOWN),
        ignored_count=orphans.count_ignored(me(), node),
        fence=fencing.fence_of(me(), node),
        power_refused=host_power.refusal(node),
        may_wake=waking.may(node),
        wakes_by=nics.waking(node),
        powering=host_power.under_way(node),
        draining=draining.to_show(me(), node),
        away=draining.away_from(node),
        rest=resting.described(node),
        events=history,
        span=span,
        ranges=[] if wants_fragment() else node_history.ranges(node_history.history(node, span)),
    )


@blueprint.get("/<int:node_id>/samples", endpoint="samples")
@needs("nodes.see")
def samples_of(node_id: int) -> ResponseReturnValue:
    """The figures of the node's charts, over one span."""
    node, span = node_list.get(me(), node_id), request.args.get("span", "hour")
    return vars(node_history.history(node, span))


@blueprint.get("/<int:node_id>/edit")
@needs("nodes.change")
def edit(node_id: int) -> Response:
    """The settings of a node."""
    node = node_list.get(me(), node_id)
    return show("nodes/edit.html", "nodes/_edit_form.html", node=node, form=NodeSettingsForm.of(node))


@blueprint.post("/<int:node_id>/edit")
@needs("nodes.change")
def save(node_id: int) -> ResponseReturnValue:
    """Change the settings of a node."""
    node = node_list.get(me(), node_id)
    # This host has no address to enter; its form does not show those fields.
    fixed: dict[str, Any] = {"address": node.address, "port": node.port, "user": node.user} if node.local else {}
    form = NodeSettingsForm(data=fixed)
    for name in fixed:
        del form[name]
    if form.submit(lambda: node_settings.edit(me(), node, form.settings(fixed))):
        return done(_page(node_id), _("Settings saved."))
    return show("nodes/edit.html", "nodes/_edit_form.html", 422, node=node, form=form)


@blueprint.post("/<int:node_id>/enable")
@needs("nodes.change")
def enable(node_id: int) -> ResponseReturnValue:
    """Enable a node."""
    node = node_list.get(me(), node_id)
    service_state.set_service_state(me(), node, "enabled", unverified="unproved" in request.args)
    return done(_back(node_id), _("%(node)s enabled.", node=node.name))


@blueprint.get("/<int:node_id>/enable")
@needs("nodes.change")
def confirm_enable(node_id: int) -> Response:
    """For a node that was never verified: whether to enable it all the same."""
    node = node_list.get(me(), node_id)
    question = Question(
        title=_("Enable %(node)s without a test?", node=node.name),
        effects=[
            _("No VM has been tested on this node. Desktops placed here may not start."),
            _("Your choice is recorded in the audit log."),
        ],
        action=url_for("nodes.enable", node_id=node_id, unproved="yes"),
        button=_("Enable without a test"),
        back=_back(node_id),
    )
    return show_question(question)


@blueprint.get("/<int:node_id>/disable")
@needs("nodes.change")
def confirm_disable(node_id: int) -> Response:
    """Whether what runs there is left running."""
    node = node_list.get(me(), node_id)
    question = Question(
        title=_("Disable %(node)s?", node=node.name),
        effects=[_("No new desktops are placed here, and stopped ones can’t be started, until you enable it again.")],
        action=url_for("nodes.disable", node_id=node_id),
        button=_("Disable"),
        back=_back(node_id),
        choices=[
            ("leave", _("Keep its desktops running"), _("Nobody is interrupted.")),
            ("shut_down", _("Shut down its desktops"), _("Users lose unsaved work.")),
        ],
    )
    return show_question(question)


@blueprint.post("/<int:node_id>/disable")
@needs("nodes.change")
def disable(node_id: int) -> ResponseReturnValue:
    """Disable a node."""
    node = node_list.get(me(), node_id)
    service_state.set_service_state(me(), node, "disabled", shut_down=request.form.get("choice") == "shut_down")
    return done(_back(node_id), _("%(node)s disabled.", node=node.name))


@blueprint.get("/<int:node_id>/remove")
@needs("nodes.change")
def confirm_remove(node_id: int) -> Response:
    """What removing the node means."""
    node = node_list.get(me(), node_id)
    question = Question(
        title=_("Remove %(node)s?", node=node.name),
        effects=[
            _("Ravada stops managing this host. Nothing is deleted on the host itself."),
            _("Not possible while it holds desktops or base copies."),
        ],
        action=url_for("nodes.remove", node_id=node_id),
        button=_("Remove node"),
        back=_back(node_id),
    )
    return show_question(question)


@blueprint.post("/<int:node_id>/remove")
@needs("nodes.change")
def remove(node_id: int) -> ResponseReturnValue:
    """Remove a node."""
    node = node_list.get(me(), node_id)
    name = node.name
    removal.remove(me(), node)
    return done(url_for("nodes.index"), _("%(node)s removed.", node=name))


@blueprint.get("/<int:node_id>/off")
@needs("nodes.change")
def confirm_off(node_id: int) -> Response:
    """What it means to vouch that the node is off."""
    node = node_list.get(me(), node_id)
    known_off.require_silent(node)
    return _ask_off(node, TypedNameForm(formdata=None))


def _ask_off(node: Node, form: TypedNameForm, status: int = 200) -> Response:
    question = Question(
        title=_("Is %(node)s off?", node=node.name),
        effects=[
            _(
                "Ravada cannot tell a host that is off from one that is cut off with its desktops running. Make sure "
                "that it has no power, or that it was switched off and stays off."
            ),
            _(
                "You allow its persistent desktops to be started elsewhere from a copy, where there is one, and its "
                "volatile ones to be made again with their network addresses. If it is running after all, the same "
                "desktop runs twice, and work is lost."
            ),
            _(
                "It ends by itself as soon as the host answers anything, and you can undo it until a desktop was "
                "started elsewhere because of it. Your choice is recorded in the audit log."
            ),
        ],
        action=url_for("nodes.off", node_id=node.id),
        button=_("It is off"),
        back=_back(node.id),
        form=form,
    )
    return show_question(question, status)


@blueprint.post("/<int:node_id>/off")
@needs("nodes.change")
def off(node_id: int) -> ResponseReturnValue:
    """Vouch that the node is off."""
    node, form = node_list.get(me(), node_id), TypedNameForm()
    if form.submit(lambda: known_off.say(me(), node, form.typed.data or "")):
        return done(_back(node_id), _("%(node)s is recorded as off.", node=node.name))
    return _ask_off(node, form, 422)


@blueprint.post("/<int:node_id>/off/undo")
@needs("nodes.change")
def undo_off(node_id: int) -> ResponseReturnValue:
    """Take it back."""
    node = node_list.get(me(), node_id)
    known_off.take_back(me(), node)
    return done(_back(node_id), _("%(node)s is no longer recorded as off.", node=node.name))


@blueprint.post("/<int:node_id>/machine-id")
@needs("nodes.change")
def accept_machine_id(node_id: int) -> ResponseReturnValue:
    """Take the machine ID that the host reports now for the node's own."""
    node = node_list.get(me(), node_id)
    identity.accept_machine_id(me(), node)
    return done(_page(node_id), _("Machine ID of %(node)s accepted.", node=node.name))


@blueprint.post("/<int:node_id>/rekey")
@needs("nodes.change")
def rekey(node_id: int) -> ResponseReturnValue:
    """Read the new host key of a quarantined node, to accept it on the next page."""
    operation = host_keys.request_rekey(me(), node_list.get(me(), node_id))
    return done(url_for("joining.progress", operation_id=operation.id))
