"""The schedule by which nodes rest while the cluster is quiet: its settings, what it says, and what people decide."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField
from wtforms.validators import InputRequired

from ravada_web.errors import InvalidInput
from ravada_web.messages import message
from ravada_web.services.lifecycle import rest_requests, resting
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.forms import Form, IntegerField
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, local_path, show

blueprint = Blueprint("schedule", __name__, url_prefix="/nodes/schedule")
# Its name and the node's id, and the name that each chosen node's id comes under.
WATTS, CHOSEN = "watts-", "node"
# So many turns of the week that was replayed are listed, and so many nodes of each are named.
TURNS_SHOWN, NODES_SHOWN = 60, 8
# The others fold.
NODES_LISTED = 50


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


@blueprint.get("/now")
@needs("nodes.change")
def now() -> Response:
    """What is so now: the part of the page that is fetched again."""
    return show(
        "nodes/schedule_now.html", "nodes/_schedule_now.html", seen=resting.look_now(me()), nodes_listed=NODES_LISTED
    )


@blueprint.get("/on")
@needs("nodes.change")
def confirm_on() -> Response:
    """What it means that nodes rest."""
    seen = resting.look_now(me())
    ticked = [node.name for node in seen.nodes if node.may_rest]
    question = Question(
        title=_("Have nodes rest by the schedule?"),
        effects=[
            _(
                "One node at a time is emptied and its host shut down, where it has been quiet for ten minutes and the "
                "rule says that the others suffice, also if one of them fails."
            ),
            _("Desktops move while they run, or while they are off. Where one cannot, its node stays on."),
            _("Nobody is interrupted, no desktop is deleted, and none is left on a node that rests."),
            _("A node is woken before it is needed. One that cannot be woken raises an alert."),
            _("What people decide on a node comes first: the schedule leaves it alone from then on."),
        ]
        if ticked
        else [_("No node is ticked yet: nothing rests until one is.")],
        names=ticked,
        action=url_for("schedule.switch_on"),
        button=_("Have nodes rest"),
        back=url_for("schedule.page"),
        danger=False,
    )
    return show_question(question)


@blueprint.post("/on")
@needs("nodes.change")
def switch_on() -> ResponseReturnValue:
    """Have nodes rest from now on."""
    rest_requests.switch(me(), on=True)
    return done(url_for("schedule.page"), _("Nodes rest by the schedule."))


@blueprint.post("/off")
@needs("nodes.change")
def switch_off() -> ResponseReturnValue:
    """Have no node rest any more; those that do are woken."""
    rest_requests.switch(me(), on=False)
    return done(url_for("schedule.page"), _("Nodes no longer rest. Those that do are being woken."))


@blueprint.post("/<int:node_id>/rest")
@needs("nodes.change")
def rest_now(node_id: int) -> ResponseReturnValue:
    """Put a node to rest now."""
    rest_requests.rest_now(me(), node_id)
    return _back()


@blueprint.post("/<int:node_id>/keep-awake")
@needs("nodes.change")
def keep_awake(node_id: int) -> ResponseReturnValue:
    """Have the schedule leave a node alone."""
    rest_requests.keep_awake(me(), node_id)
    return _back()


@blueprint.post("/<int:node_id>/let-rest")
@needs("nodes.change")
def let_rest(node_id: int) -> ResponseReturnValue:
    """Have the schedule decide on a node again."""
    rest_requests.let_rest(me(), node_id)
    return _back()


def _back() -> ResponseReturnValue:
    return done(local_path(request.form.get("next"), url_for("schedule.page")))


def _show(form: ScheduleForm, seen: resting.Schedule, status: int = 200) -> Response:
    shown = {"turns_shown": TURNS_SHOWN, "nodes_shown": NODES_SHOWN, "nodes_listed": NODES_LISTED}
    return show("nodes/schedule.html", "nodes/_schedule.html", status, form=form, seen=seen, **shown)
