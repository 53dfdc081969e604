"""“My desktops”: what a user comes for."""

from flask import Blueprint, Response

from ravada_web.services import clones
from ravada_web.web.guard import me
from ravada_web.web.htmx import show

blueprint = Blueprint("desktops", __name__)


@blueprint.get("/")
def index() -> Response:
    return show("desktops/index.html", "desktops/_list.html", desktops=clones.mine(me()))
