"""“My desktops”: what a user comes for; launching one, and making one of a base that is offered."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from ravada_web.services.desktops import cards, launching
from ravada_web.web import asked
from ravada_web.web.guard import me
from ravada_web.web.htmx import done, show

blueprint = Blueprint("desktops", __name__)


@blueprint.get("/")
def index() -> Response:
    search = request.args.get("search", "").strip()
    page = cards.page_of(me(), search, asked.page())
    offered = [] if search or page.page > 1 else cards.new_offers(me())
    searches = bool(search) or page.total > cards.SEARCHED_FROM
    return show(
        "desktops/index.html", "desktops/_list.html", page=page, offered=offered, search=search, searches=searches
    )


@blueprint.post("/desktops/<int:clone_id>/launch")
def launch(clone_id: int) -> ResponseReturnValue:
    clone = launching.launch(me(), clone_id)
    return done(url_for("console.page", clone_id=clone.id))


@blueprint.post("/desktops/new/<int:base_id>")
def new(base_id: int) -> ResponseReturnValue:
    clone = launching.launch_new(me(), base_id)
    return done(url_for("console.page", clone_id=clone.id))
