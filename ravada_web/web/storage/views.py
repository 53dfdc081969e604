"""A node's storage: its pools, who uses them, and when they will be full."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.storage import overview as storage_overview
from ravada_web.services.storage import pools, usage
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("storage", __name__, url_prefix="/nodes/<int:node_id>/storage")


@blueprint.get("")
@needs("nodes.see")
def index(node_id: int) -> Response:
    """The pools of a node and what uses them."""
    node = node_list.get(me(), node_id)
    return show(
        "nodes/storage.html",
        "nodes/_storage.html",
        node=node,
        pools=storage_overview.of_node(node),
        files=storage_overview.biggest_files(me(), node),
        waiting=clone_list.out_of_space(me(), node),
        no_room=pools.no_room(node),
    )


@blueprint.post("/count")
@needs("nodes.see")
def count(node_id: int) -> ResponseReturnValue:
    """Scan the pools of a node again."""
    usage.request_count(me(), node_list.get(me(), node_id))
    return done(url_for("storage.index", node_id=node_id), _("Scanning files."))


@blueprint.post("/go-on")
@needs("nodes.see")
def go_on(node_id: int) -> ResponseReturnValue:
    """Let the desktops that wait for space continue."""
    outcome = clone_actions.resume(me(), node_list.get(me(), node_id))
    word = ngettext("%(num)s desktop resumed.", "%(num)s desktops resumed.", len(outcome.done))
    if outcome.refused:
        return done(url_for("storage.index", node_id=node_id), str(outcome.summary()), "warning")
    return done(url_for("storage.index", node_id=node_id), word)
