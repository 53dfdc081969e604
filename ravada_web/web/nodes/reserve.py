"""Room for the loss of one node: keep it, or keep it no more."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.services.placements import reserve
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done

blueprint = Blueprint("reserve", __name__, url_prefix="/nodes")


@blueprint.get("/reserve")
@needs("nodes.change")
def confirm() -> Response:
    """What keeping the room means."""
    question = Question(
        title=_("Keep room for the loss of one node?"),
        effects=[
            _(
                "So much memory is kept free that the volatile desktops of any one node can be made again on the "
                "others when it fails."
            ),
            _("New desktops are refused, and stopped ones can’t be started, where they would use that room."),
            _("Desktops that run are left alone."),
        ],
        action=url_for("reserve.save", keep="yes"),
        button=_("Keep room"),
        back=url_for("nodes.index"),
        danger=False,
    )
    return show_question(question)


@blueprint.post("/reserve")
@needs("nodes.change")
def save() -> ResponseReturnValue:
    """Keep it from now on, or no more."""
    keep = "keep" in request.args
    reserve.set_kept(me(), keep)
    told = _("Room for the loss of one node is kept.") if keep else _("Room for the loss of one node is not kept.")
    return done(url_for("nodes.index"), told)
