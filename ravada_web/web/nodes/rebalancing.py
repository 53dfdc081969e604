"""Rebalancing: the plan that is proposed and begun, and when that is done by itself."""

from collections.abc import Collection

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms.validators import InputRequired, Optional

from ravada_web.services.moves import rebalancing, rebalancing_rules
from ravada_web.services.moves.rebalancing_rules import Rules
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.forms import Form, IntegerField
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("rebalancing", __name__, url_prefix="/nodes/rebalance")
_REQUIRED = _l("Enter a whole number.")


class BeginForm(Form):
    """How many of the moves are done at once."""

    at_once = IntegerField(_l("Moves at once"), [InputRequired(_REQUIRED)])


class RulesForm(Form):
    """When nodes are rebalanced by themselves, and what all rebalances keep to."""

    over = IntegerField(
        _l("Rebalance automatically above this imbalance, in percent"),
        [Optional()],
        description=_l("Leave empty to rebalance only on request."),
    )
    minutes = IntegerField(_l("…once it has lasted this many minutes"), [InputRequired(_REQUIRED)])
    at_once = IntegerField(_l("Moves at once"), [InputRequired(_REQUIRED)])
    rest_hours = IntegerField(
        _l("Hours before a desktop may be moved again"), [InputRequired(_REQUIRED)], description=_l("0 for none.")
    )


def _page(form: BeginForm | None = None, chosen: Collection[str] | None = None, status: int = 200) -> Response:
    plan, rules = rebalancing.under_way(), rebalancing_rules.rules()
    return show(
        "nodes/rebalance.html",
        "nodes/_rebalance.html",
        status,
        plan=plan,
        last=rebalancing.last(),
        proposal=None if plan else rebalancing.propose(me()),
        form=form or BeginForm(formdata=None, at_once=rules.at_once),
        chosen=chosen,
        rules=rules,
        decided_by=rebalancing_rules.decided_by(),
    )


@blueprint.get("")
@needs("nodes.change")
def index() -> Response:
    """The plan that would be made now, unless one is under way."""
    return _page()


@blueprint.post("")
@needs("nodes.change")
def begin() -> ResponseReturnValue:
    """Begin the moves that were selected."""
    form, chosen = BeginForm(), request.form.getlist("move")
    accepted = form.submit(lambda: rebalancing.begin(me(), chosen, form.values["at_once"]))
    if accepted:
        return done(url_for("draining.plan", plan_id=accepted.result.id))
    return _page(form, set(chosen), 422)


@blueprint.get("/settings")
@needs("nodes.change")
def settings() -> Response:
    """When nodes are rebalanced by themselves."""
    return _ask(RulesForm(formdata=None, data=vars(rebalancing_rules.rules())))


@blueprint.post("/settings")
@needs("nodes.change")
def save() -> ResponseReturnValue:
    """Have these rules from now on."""
    form = RulesForm()
    if form.submit(lambda: rebalancing_rules.decide(me(), Rules(**form.values))):
        return done(url_for("rebalancing.index"), _("Saved."))
    return _ask(form, 422)


def _ask(form: RulesForm, status: int = 200) -> Response:
    question = Question(
        title=_("When are nodes rebalanced?"),
        effects=[_("It never starts during a drain or while a failed node is being dealt with.")],
        action=url_for("rebalancing.save"),
        button=_("Save"),
        back=url_for("rebalancing.index"),
        form=form,
        danger=False,
    )
    return show_question(question, status)
