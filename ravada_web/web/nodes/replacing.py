"""A new host in a node's place: the page that says what stood there, and joins it."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, HiddenField, RadioField, StringField

from ravada_web.models import Node
from ravada_web.services.lifecycle import replacing
from ravada_web.services.lifecycle.giving_up import WAIT
from ravada_web.services.nodes import listing as node_list
from ravada_web.web.forms import Form
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show
from ravada_web.web.nodes.giving_up import GIVE_UP, REMAKE

blueprint = Blueprint("replacing", __name__, url_prefix="/nodes")


class ReplaceForm(Form):
    """What becomes of the desktops, the node's name, typed, and which host was shown."""

    volatile = RadioField(_l("Volatile desktops"), choices=[REMAKE, GIVE_UP], default=WAIT)
    lost = BooleanField(_l("Give up the persistent desktops"))
    typed = StringField(_l("Type the node’s name to confirm"))
    fingerprint = HiddenField()

    def asked(self) -> replacing.Asked:
        """What was chosen."""
        texts = {name: self.values[name] or "" for name in ("volatile", "typed", "fingerprint")}
        return replacing.Asked(**texts, lost=bool(self.lost.data))


@blueprint.get("/<int:node_id>/replace")
@needs("nodes.change")
def page(node_id: int) -> Response:
    """All that stood on the node, and what is to become of it."""
    node = node_list.get(me(), node_id)
    replacement = replacing.look(me(), node)
    return _show(node, replacement, ReplaceForm(formdata=None, data={"fingerprint": replacement.fingerprint}))


@blueprint.post("/<int:node_id>/replace")
@needs("nodes.change")
def replace(node_id: int) -> ResponseReturnValue:
    """Join the host in the node's place."""
    node, form = node_list.get(me(), node_id), ReplaceForm()
    if form.submit(lambda: replacing.replace(me(), node, form.asked())):
        return done(url_for("guide.steps", node_id=node_id), _("%(node)s is a new host from now on.", node=node.name))
    return _show(node, replacing.look(me(), node), form, 422)


def _show(node: Node, replacement: replacing.Replacement, form: ReplaceForm, status: int = 200) -> Response:
    shown = {"node": node, "replacement": replacement, "form": form}
    return show("nodes/replace.html", "nodes/_replace_form.html", status, **shown)
