"""A node's storage: its pools, who uses them, and when they will be full."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.services import clones, nodes, pools, storage, usage
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("storage", __name__, url_prefix="/nodes/<int:node_id>/storage")


@blueprint.get("")
@needs("nodes.see")
def index(node_id: int) -> Response:
    node = nodes.get(me(), node_id)
    return show(
        "nodes/storage.html",
        "nodes/_storage.html",
        node=node,
        pools=pools.of_node(node),
        waiting=clones.out_of_space(me(), node),
        no_room=storage.no_room(node),
    )


@blueprint.post("/count")
@needs("nodes.see")
def count(node_id: int) -> ResponseReturnValue:
    usage.begin_count(me(), nodes.get(me(), node_id))
    return done(url_for("storage.index", node_id=node_id), _("The files are being counted."))


@blueprint.post("/go-on")
@needs("nodes.see")
def go_on(node_id: int) -> ResponseReturnValue:
    going = clones.go_on(me(), nodes.get(me(), node_id))
    word = ngettext("%(num)s desktop goes on.", "%(num)s desktops go on.", going)
    return done(url_for("storage.index", node_id=node_id), word)
