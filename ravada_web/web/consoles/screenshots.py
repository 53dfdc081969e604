"""The pictures of desktops' screens."""

from flask import Blueprint, Response
from flask_babel import gettext as _

from ravada_web.errors import NotFound
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.consoles import screenshots
from ravada_web.web.guard import me

blueprint = Blueprint("pictures", __name__)


@blueprint.get("/desktops/<int:clone_id>/picture")
def show(clone_id: int) -> Response:
    """The screen as last seen; its address names the moment, so that a browser may keep it for a while."""
    picture = screenshots.picture(clone_list.get(me(), clone_id).id)
    if picture is None:
        raise NotFound(_("There is no picture of this desktop."))
    answer = Response(picture, mimetype="image/webp")
    answer.cache_control.private, answer.cache_control.max_age = True, screenshots.KEPT_SECONDS
    return answer
