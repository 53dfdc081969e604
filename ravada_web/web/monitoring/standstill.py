"""What stands still, as every page says it."""

from flask import Blueprint, Response

from ravada_web.web.htmx import show

blueprint = Blueprint("standstill", __name__)


@blueprint.get("/standstill")
def banner() -> Response:
    """The notice on every page, fetched again as something stands still, and no more."""
    return show("_standstill.html", "_standstill.html")
