"""The console: a clone's screen in the browser."""

from flask import Blueprint, Response

from ravada_web.services import clones
from ravada_web.web.guard import me
from ravada_web.web.htmx import show

blueprint = Blueprint("console", __name__, url_prefix="/console")


@blueprint.get("/<int:clone_id>")
def page(clone_id: int) -> Response:
    return show("console/page.html", "console/page.html", clone=clones.get(me(), clone_id))
