"""Moving a clone to another node: the page that offers the nodes, with how it can go to each and why not to others."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, RadioField, ValidationError
from wtforms.fields import SelectChoice
from wtforms.validators import Optional

from ravada_web.models import Clone, CloneState, Operation
from ravada_web.placement.moving import Way
from ravada_web.services.moves import requests as move_requests
from ravada_web.services.moves.requests import DEFAULT, LiveLimits
from ravada_web.web.forms import Form, IntegerField
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.parameters import number

blueprint = Blueprint("moving", __name__, url_prefix="/clones/<int:clone_id>/move")


def _id(text: object) -> int:
    """A node's id; 0, which is none's, for what is no number."""
    try:
        return number(str(text))
    except ValueError:
        return 0


WAYS = [
    SelectChoice("live", _l("Move it while it runs")),
    SelectChoice("restart", _l("Shut it down, move it, start it again")),
]
AT_DEADLINE = [
    SelectChoice("stop", _l("Pause it until the rest is copied, then it goes on")),
    SelectChoice("give_up", _l("Give up: it stays where it is and goes on")),
]


class MoveForm(Form):
    """The node to move to, and how one that runs goes there and within what time; whether it can is for the service to
    say."""

    node_id = RadioField(_l("Node"), coerce=_id, validate_choice=False)
    way = RadioField(_l("How"), choices=WAYS, validate_choice=False)
    deadline_seconds = IntegerField(_l("Time limit (seconds)"), [Optional()], default=DEFAULT.deadline_seconds)
    at_deadline = RadioField(_l("If it is not there by then"), choices=AT_DEADLINE, validate_choice=False)
    confirmed = BooleanField(_l("Shut it down: what its user has not saved is lost"))

    def validate_confirmed(self, field: BooleanField) -> None:
        """Raises ValidationError where its user would lose work that nobody has confirmed."""
        if self.way.data == "restart" and not field.data:
            raise ValidationError(_("Confirm this to have it shut down."))

    def limits(self) -> LiveLimits:
        """What was chosen for a move while it runs; what is missing is as it is by default."""
        seconds = self.deadline_seconds.data
        return LiveLimits(
            DEFAULT.deadline_seconds if seconds is None else seconds, self.at_deadline.data or DEFAULT.at_deadline
        )


@blueprint.get("")
@needs("clones.control_all")
def page(clone_id: int) -> Response:
    """The nodes to choose from."""
    return _shown(move_requests.to_move(me(), clone_id), MoveForm(formdata=None))


@blueprint.post("")
@needs("clones.control_all")
def move(clone_id: int) -> ResponseReturnValue:
    """Have the clone moved."""
    clone, form = move_requests.to_move(me(), clone_id), MoveForm()
    if form.submit(lambda: _request(clone_id, form)):
        text = _("%(clone)s is being moved.", clone=clone.name)
        return done(url_for("clones.clone", clone_id=clone_id), text)
    return _shown(clone, form, 422)


def _request(clone_id: int, form: MoveForm) -> Operation:
    live, restart = form.way.data == "live", form.way.data == "restart"
    to = form.node_id.data or 0
    return move_requests.request_move(me(), clone_id, to, live=live, restart=restart, limits=form.limits())


def _shown(clone: Clone, form: MoveForm, status: int = 200) -> Response:
    found = move_requests.prospects(me(), clone)
    offered = [one for one in found if not one.refusal]
    form.node_id.choices = [SelectChoice(one.node.id, one.node.name) for one in offered]
    runs = clone.state == CloneState.RUNNING
    if not form.way.data:
        form.way.data = "live" if any(one.way == Way.LIVE for one in offered) else "restart"
    form.at_deadline.data = form.at_deadline.data or DEFAULT.at_deadline
    context = {"clone": clone, "form": form, "runs": runs, "refused": [one for one in found if one.refusal]}
    context |= {"offered": list(zip(form.node_id, offered, strict=True)), "obstacle": move_requests.obstacle(clone)}
    return show("clones/move.html", "clones/_move_form.html", status, **context)
