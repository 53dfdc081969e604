"""The schedule by which nodes could rest while the cluster is quiet: its settings, and what it says."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField
from wtforms.validators import InputRequired

from ravada_web.errors import InvalidInput
from ravada_web.messages import message
from ravada_web.services.lifecycle import resting
from ravada_web.web.forms import Form, IntegerField
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("schedule", __name__, url_prefix="/nodes/schedule")
# Its name and the node's id, and the name that each chosen node's id comes under.
WATTS, CHOSEN = "watts-", "node"
# So many turns of the week that was replayed are listed, and so many nodes of each are named.
TURNS_SHOWN, NODES_SHOWN = 60, 8


class ScheduleForm(Form):
    """When nodes may rest, and what is kept free; the nodes have fields of their own."""

    free_percent = IntegerField(_l("Kept free (%)"), [InputRequired(_l("Enter a number."))])
    settle_hours = IntegerField(_l("Hours between two changes"), [InputRequired(_l("Enter a number."))])
    from_hour = IntegerField(_l("From (hour)"), [InputRequired(_l("Enter a number."))])
    until_hour = IntegerField(_l("Until (hour)"), [InputRequired(_l("Enter a number."))])
    weekends = BooleanField(_l("All day on Saturdays and Sundays"))

    def wishes(self) -> resting.Wishes:
        """What was entered. Raises InvalidInput for watts that are none."""
        nodes = {int(id_) for id_ in request.form.getlist(CHOSEN) if id_.isdecimal()}
        return resting.Wishes(**self.values, nodes=frozenset(nodes), watts=_watts())


def _watts() -> dict[int, int]:
    entered = {name.removeprefix(WATTS): value for name, value in request.form.items() if name.startswith(WATTS)}
    try:
        return {int(id_): int(value.strip() or 0) for id_, value in entered.items()}
    except ValueError:
        raise InvalidInput({"watts": message("resting.watts", most=resting.MOST_WATTS)}) from None


@blueprint.get("")
@needs("nodes.change")
def page() -> Response:
    """What is set, what it says now, and the last week replayed."""
    seen = resting.look(me())
    policy = seen.policy
    set_so = {"free_percent": policy.rest_free_percent, "settle_hours": policy.rest_settle_hours}
    set_so |= {"from_hour": policy.rest_from, "until_hour": policy.rest_until, "weekends": policy.rest_weekends}
    return _show(ScheduleForm(formdata=None, data=set_so), seen)


@blueprint.post("")
@needs("nodes.change")
def save() -> ResponseReturnValue:
    """Change what is set."""
    form = ScheduleForm()
    if form.submit(lambda: resting.save(me(), form.wishes())):
        return done(url_for("schedule.page"), _("Schedule saved."))
    return _show(form, resting.look(me()), 422)


def _show(form: ScheduleForm, seen: resting.Schedule, status: int = 200) -> Response:
    shown = {"turns_shown": TURNS_SHOWN, "nodes_shown": NODES_SHOWN}
    return show("nodes/schedule.html", "nodes/_schedule.html", status, form=form, seen=seen, **shown)
