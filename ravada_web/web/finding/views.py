"""The finder: any desktop, user, group, base, node or page by a part of its name; and what the keys do."""

from flask import Blueprint, Response, request

from ravada_web.services import finding
from ravada_web.web.finding import places
from ravada_web.web.guard import me
from ravada_web.web.htmx import show

blueprint = Blueprint("finding", __name__)


@blueprint.get("/find")
def index() -> Response:
    """What is called so; without a text, the pages to go to."""
    text = request.args.get("q", "")
    shown = {"text": text, "found": finding.find(me(), text), "goes_to": places.named_like(me(), text)}
    return show("finding/index.html", "finding/_finder.html", **shown)


@blueprint.get("/keys")
def keys() -> Response:
    """What the keyboard does."""
    return show("finding/keys.html", "finding/_keys.html", goes_to=places.open_to(me()))
