"""The forms of nodes: where a host is, what is set of it, and the password that lets our key in once."""

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, StringField, TextAreaField
from wtforms.validators import InputRequired, NumberRange, Optional

from ravada_web.models import Node
from ravada_web.services.nodes.settings import NodeSettings
from ravada_web.web.forms import FloatField, Form, IntegerField

_PORT = _l("Enter a number between 1 and 65535.")


class NodeForm(Form):
    """Where a host is."""

    name = StringField(_l("Name"), [InputRequired(_l("Enter a name."))])
    address = StringField(_l("Address"), [InputRequired(_l("Enter a host name or IP address."))])
    port = IntegerField(
        _l("SSH port"),
        [InputRequired(_PORT), NumberRange(1, 65535, _PORT)],
        default=22,
    )
    user = StringField(
        _l("SSH user"), [InputRequired(_l("Enter a user on that host, for example root."))], default="root"
    )


class TypedNameForm(Form):
    """The name of a node, typed by somebody who is to be sure which one it is."""

    typed = StringField(_l("Name of the node"), [InputRequired(_l("Enter the name of the node."))])


class NodeSettingsForm(NodeForm):
    """All that is set of a node."""

    runs_clones = BooleanField(_l("Run desktops on this node"))
    clone_limit = IntegerField(_l("Desktop limit"), [Optional()])
    memory_reserve_mib = IntegerField(_l("Reserved memory (MiB)"), [InputRequired(_l("Enter a number, 0 for none."))])
    memory_overcommit = FloatField(_l("Memory overcommit"), [InputRequired(_l("Enter a factor, 1 for none."))])
    cpu_overcommit = FloatField(_l("CPU overcommit"), [Optional()])
    builds_at_once = IntegerField(_l("Parallel creations"), [InputRequired(_l("Enter a number between 1 and 32."))])
    move_mib_per_second = IntegerField(_l("Network for moves (MiB/s)"), [Optional()])
    display_address = StringField(_l("Viewer address"))
    nat_address = StringField(_l("Public address"))
    mac = StringField(_l("MAC address"))
    labels = StringField(_l("Labels"))
    notes = TextAreaField(_l("Notes"))

    @classmethod
    def of(cls, node: Node) -> "NodeSettingsForm":
        """The form as the node is set."""
        form = cls(obj=node)
        form.labels.data = ", ".join(node.labels)
        return form

    def settings(self, fixed: dict[str, Any]) -> NodeSettings:
        """What was entered; `fixed` are the fields that this node's form does not have."""
        texts = {name: self.values[name] or "" for name in ("display_address", "nat_address", "mac", "labels", "notes")}
        values = self.values | texts | fixed
        labels = [label.strip() for label in values["labels"].split(",") if label.strip()]
        return NodeSettings(**{**values, "labels": labels, "mac": values["mac"].lower()})
