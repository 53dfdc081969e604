"""Draining nodes: the page that lists what becomes of each desktop, the drain's progress, and what comes home."""

from collections.abc import Sequence

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from wtforms import BooleanField, HiddenField, RadioField, StringField, ValidationError
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional

from ravada_web.models import AT_WORK, Node
from ravada_web.services.lifecycle import draining
from ravada_web.services.lifecycle.draining import FORCE_OFF, LEAVE, SHUT_DOWN, Wishes
from ravada_web.services.moves import plans
from ravada_web.services.nodes import listing as node_list
from ravada_web.web import parameters
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.forms import Form, IntegerField
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.parameters import number

blueprint = Blueprint("draining", __name__, url_prefix="/nodes")
PLAIN = Wishes()


class DrainForm(Form):
    """How long users may stay, what comes then, and how much at once; then the maintenance."""

    minutes = IntegerField(_l("Users may stay (minutes)"), [Optional()], default=PLAIN.minutes)
    at_deadline = RadioField(
        _l("Desktops that still run then"),
        choices=[
            SelectChoice(SHUT_DOWN, _l("Shut them down; what does not follow stays")),
            SelectChoice(FORCE_OFF, _l("Shut them down; force off what does not follow")),
            SelectChoice(LEAVE, _l("Leave them running here")),
        ],
        default=SHUT_DOWN,
    )
    confirmed = BooleanField(_l("Force off: what users have not saved there is lost"))
    live = BooleanField(_l("Move running desktops without shutting them down"), default=True)
    at_once = IntegerField(_l("Moves at once"), [Optional()], default=PLAIN.at_once)
    brings = BooleanField(_l("Copy missing bases to other nodes first"), default=True)
    why = StringField(_l("Reason"), description=_l("Optional. Shown to everybody who sees the node."))
    hours = IntegerField(_l("Planned hours of maintenance"), [Optional()])
    digest = HiddenField()

    def validate_confirmed(self, field: BooleanField) -> None:
        """Raises ValidationError where users would lose work that nobody has confirmed."""
        if self.at_deadline.data == FORCE_OFF and not field.data:
            raise ValidationError(_("Confirm this to have them forced off."))

    def wishes(self) -> Wishes:
        """What was chosen; what is missing or no number is as it is by default."""
        values = self.values
        return Wishes(
            minutes=PLAIN.minutes if values["minutes"] is None else values["minutes"],
            at_deadline=values["at_deadline"] or SHUT_DOWN,
            live=bool(values["live"]),
            at_once=PLAIN.at_once if values["at_once"] is None else values["at_once"],
            brings=bool(values["brings"]),
            why=values["why"] or "",
            hours=values["hours"],
        )


def _nodes(ids: Sequence[int]) -> list[Node]:
    return [node_list.get(me(), node_id) for node_id in sorted(set(ids))]


@blueprint.get("/drain")
@needs("nodes.change")
def page() -> Response:
    """What would become of each desktop on these nodes, by what is chosen so far."""
    form = DrainForm(formdata=request.args if "at_deadline" in request.args else None)
    return _show(_nodes(request.args.getlist("id", type=number)), form)


@blueprint.post("/drain")
@needs("nodes.change")
def drain() -> ResponseReturnValue:
    """Drain the nodes."""
    nodes, form = _nodes(request.form.getlist("id", type=number)), DrainForm()
    seen = form.values["digest"] or draining.UNSEEN
    accepted = form.submit(lambda: draining.request_drain(me(), [node.id for node in nodes], form.wishes(), seen))
    if accepted:
        return done(url_for("draining.plan", plan_id=accepted.result.id))
    return _show(nodes, form, 422)


def _show(nodes: Sequence[Node], form: DrainForm, status: int = 200) -> Response:
    shown = draining.preview(me(), nodes, form.wishes())
    form.digest.data = shown.digest
    given = {"nodes": nodes, "form": form, "preview": shown, "refusals": draining.refusals(nodes)}
    return show("nodes/drain.html", "nodes/_drain_form.html", status, **given)


@blueprint.get("/plans/<int:plan_id>")
@needs("nodes.change")
def plan(plan_id: int) -> Response:
    """How far a plan of moves is, and what became of each desktop."""
    row = plans.get(me(), plan_id)
    chosen = request.args.get("state", "")
    page = plans.page_of(row, chosen, parameters.page())
    given = {"plan": row, "page": page, "progress": plans.progress(row), "at_work": row.state in AT_WORK}
    return show("nodes/plan.html", "nodes/_plan.html", chosen=chosen, **given)


@blueprint.get("/plans/<int:plan_id>/cancel")
@needs("nodes.change")
def confirm_cancel(plan_id: int) -> Response:
    """Whether what has moved goes back."""
    row = plans.get(me(), plan_id)
    moved = plans.progress(row).moved
    question = Question(
        title=_("Cancel the rest?"),
        effects=[
            _("Moves that are under way are cancelled where that is still possible. Nothing more is moved."),
            _("Nodes that are being drained serve again as before."),
            ngettext("%(num)s desktop has moved.", "%(num)s desktops have moved.", moved),
        ],
        action=url_for("draining.cancel", plan_id=plan_id),
        button=_("Cancel the rest"),
        back=url_for("draining.plan", plan_id=plan_id),
        choices=[
            ("stay", _("What has moved stays"), _("Where it is now.")),
            ("return", _("What has moved goes back"), _("What is off at once, what runs once it is off.")),
        ],
    )
    return show_question(question)


@blueprint.post("/plans/<int:plan_id>/cancel")
@needs("nodes.change")
def cancel(plan_id: int) -> ResponseReturnValue:
    """Do nothing more of a plan."""
    plans.cancel(me(), plan_id, returns=request.form.get("choice") == "return")
    return done(url_for("draining.plan", plan_id=plan_id), _("Cancelled."))


class BringBackForm(Form):
    """How many at once, and for how long what runs is waited for."""

    live = BooleanField(_l("Move running desktops without shutting them down"), default=True)
    at_once = IntegerField(_l("Moves at once"), [Optional()], default=PLAIN.at_once)
    minutes = IntegerField(_l("Wait for desktops that run (minutes)"), [Optional()], default=PLAIN.minutes)

    def wishes(self) -> Wishes:
        """What was chosen."""
        values = self.values
        minutes = PLAIN.minutes if values["minutes"] is None else values["minutes"]
        at_once = PLAIN.at_once if values["at_once"] is None else values["at_once"]
        return Wishes(minutes=minutes, live=bool(values["live"]), at_once=at_once, at_deadline=LEAVE)


@blueprint.get("/<int:node_id>/bring-back")
@needs("nodes.change")
def confirm_bring_back(node_id: int) -> Response:
    """What comes home."""
    return _ask_back(node_list.get(me(), node_id), BringBackForm(formdata=None))


@blueprint.post("/<int:node_id>/bring-back")
@needs("nodes.change")
def bring_back(node_id: int) -> ResponseReturnValue:
    """Have what a drain moved away come home."""
    node, form = node_list.get(me(), node_id), BringBackForm()
    accepted = form.submit(lambda: draining.request_bring_back(me(), node, form.wishes()))
    if accepted:
        return done(url_for("draining.plan", plan_id=accepted.result.id))
    return _ask_back(node, form, 422)


def _ask_back(node: Node, form: BringBackForm, status: int = 200) -> Response:
    question = Question(
        title=_("Bring the desktops of %(node)s back?", node=node.name),
        effects=[
            ngettext(
                "%(num)s desktop that its last drain moved away comes back.",
                "%(num)s desktops that its last drain moved away come back.",
                draining.away_from(node),
            ),
            _("Nobody is interrupted: what runs and can’t move so comes back once it is off, or stays where it is."),
        ],
        action=url_for("draining.bring_back", node_id=node.id),
        button=_("Bring back"),
        back=url_for("nodes.node", node_id=node.id),
        form=form,
        danger=False,
    )
    return show_question(question, status)
