"""A node that will not come back: the page that gives it up, and taking it back."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice

from ravada_web.services.lifecycle import giving_up
from ravada_web.services.nodes import listing as node_list
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.forms import Form
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("giving_up", __name__, url_prefix="/nodes")

GIVE_UP = SelectChoice(giving_up.GIVE_UP, _l("Give up"))
REMAKE = SelectChoice(giving_up.WAIT, _l("Make again on other nodes"))
_KEEP = SelectChoice(giving_up.WAIT, _l("Keep, unreachable"))


class GiveUpForm(Form):
    """What becomes of each kind of desktop, and the node's name, typed."""

    volatile = RadioField(_l("Volatile desktops"), choices=[REMAKE, GIVE_UP], default=giving_up.WAIT)
    persistent = RadioField(_l("Persistent desktops"), choices=[_KEEP, GIVE_UP], default=giving_up.WAIT)
    typed = StringField(_l("Type the node’s name to confirm"))


@blueprint.get("/<int:node_id>/give-up")
@needs("nodes.change")
def page(node_id: int) -> Response:
    """All that stands on the node, and what is to become of it."""
    node = node_list.get(me(), node_id)
    standing = giving_up.standing(me(), node)
    return show("nodes/give_up.html", "nodes/_give_up_form.html", node=node, standing=standing, form=GiveUpForm())


@blueprint.post("/<int:node_id>/give-up")
@needs("nodes.change")
def give_up(node_id: int) -> ResponseReturnValue:
    """Give the node up."""
    node, form = node_list.get(me(), node_id), GiveUpForm()

    def act() -> object:
        chosen = {name: form.values[name] or "" for name in ("volatile", "persistent")}
        return giving_up.give_up(me(), node, form.values["typed"] or "", **chosen)

    if form.submit(act):
        return done(url_for("nodes.node", node_id=node_id), _("%(node)s is given up.", node=node.name))
    standing = giving_up.standing(me(), node)
    return show("nodes/give_up.html", "nodes/_give_up_form.html", 422, node=node, standing=standing, form=form)


@blueprint.get("/<int:node_id>/take-back")
@needs("nodes.change")
def confirm_take_back(node_id: int) -> Response:
    """What taking it back means."""
    node = node_list.get(me(), node_id)
    question = Question(
        title=_("Take %(node)s back?", node=node.name),
        effects=[
            _("It is a node again, disabled. Desktops deleted or made again elsewhere are removed there first."),
            _("What was given up with it is listed on its page, to be brought back, exported or deleted."),
        ],
        action=url_for("giving_up.take_back", node_id=node_id),
        button=_("Take back"),
        back=url_for("nodes.node", node_id=node_id),
        danger=False,
    )
    return show_question(question)


@blueprint.post("/<int:node_id>/take-back")
@needs("nodes.change")
def take_back(node_id: int) -> ResponseReturnValue:
    """Have it be a node again."""
    node = node_list.get(me(), node_id)
    giving_up.take_back(me(), node)
    return done(
        url_for("nodes.node", node_id=node_id), _("%(node)s is a node again. Enable it when it is up.", node=node.name)
    )
