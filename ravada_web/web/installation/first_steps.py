"""What an administrator does first: a card that goes away when all is done, or when it is not wanted."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.config import settings
from ravada_web.services.installation import first_steps
from ravada_web.services.permissions import rights
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import browser_path, done, here, local_path, show, wants_fragment

blueprint = Blueprint("first_steps", __name__, url_prefix="/first-steps")
COOKIE = "first-steps"
ONE_YEAR = 31_536_000


@blueprint.app_template_global("first_steps")
def for_the_card() -> first_steps.FirstSteps | None:
    """The steps, for administrators who have not dismissed them; None once all are done."""
    if not rights.can(me(), "nodes.change") or request.cookies.get(COOKIE) == "dismissed":
        return None
    steps = first_steps.read()
    return None if steps.next is None else steps


@blueprint.get("")
@needs("nodes.change")
def index() -> Response:
    """The steps as a page; or the card again, which is empty once it is dismissed."""
    itself = not wants_fragment() or browser_path() == here()
    steps = first_steps.read() if itself else for_the_card()
    return show("first_steps/index.html", "first_steps/_card.html", steps=steps)


@blueprint.post("/dismiss")
@needs("nodes.change")
def dismiss() -> ResponseReturnValue:
    """Keep the card away in this browser."""
    back = local_path(request.form.get("next"))
    answer = done(back, _("Checklist hidden. You can find it again at %(address)s.", address=url_for(".index")), "info")
    answer.set_cookie(COOKIE, "dismissed", max_age=ONE_YEAR, samesite="Lax", secure=settings().https, httponly=True)
    return answer
