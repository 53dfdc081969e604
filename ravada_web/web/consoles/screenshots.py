"""The pictures of desktops' screens."""

from flask import Blueprint, Response

from ravada_web.services.consoles import screenshots
from ravada_web.web.guard import me

blueprint = Blueprint("pictures", __name__)


@blueprint.get("/desktops/<int:clone_id>/picture")
def show(clone_id: int) -> Response:
    """The screen as last seen. Its address names the moment, so that its user's browser may keep it for a while; that
    of somebody else asks again, as it may be refused from one moment to the next."""
    shown = screenshots.show(me(), clone_id)
    answer = Response(shown.picture, mimetype="image/webp")
    if shown.own:
        answer.cache_control.private, answer.cache_control.max_age = True, screenshots.KEPT_SECONDS
    return answer
