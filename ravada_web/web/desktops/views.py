"""“My desktops”: what a user comes for; launching one, and making one of a base that is offered."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from ravada_web.services.desktops import launching
from ravada_web.services.desktops import listing as desktop_list
from ravada_web.web import parameters
from ravada_web.web.guard import me
from ravada_web.web.htmx import done, show

blueprint = Blueprint("desktops", __name__)


@blueprint.get("/")
def index() -> Response:
    """One’s own desktops, and the bases to create one from."""
    search = request.args.get("search", "").strip()
    shown = vars(desktop_list.front_page(me(), search, parameters.page()))
    return show("desktops/index.html", "desktops/_list.html", search=search, **shown)


@blueprint.post("/desktops/<int:clone_id>/launch")
def launch(clone_id: int) -> ResponseReturnValue:
    """Have a desktop run and show its screen."""
    clone = launching.launch(me(), clone_id)
    return done(url_for("console.page", clone_id=clone.id))


@blueprint.post("/desktops/new/<int:base_id>")
def new(base_id: int) -> ResponseReturnValue:
    """Create a desktop from an offered base, and launch it."""
    clone = launching.launch_new(me(), base_id)
    return done(url_for("console.page", clone_id=clone.id))


@blueprint.post("/desktops/given-up/dismiss")
def dismiss_given_up() -> ResponseReturnValue:
    """The user has read what became of desktops that were given up."""
    desktop_list.dismiss_given_up(me())
    return done(url_for("desktops.index"))
