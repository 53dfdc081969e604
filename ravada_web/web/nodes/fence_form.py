"""The form of a node's fence agent: a field for each option that the agent has."""

from typing import Any

from flask_babel import gettext as _
from wtforms import Field, PasswordField, SelectField, StringField
from wtforms.fields import SelectChoice

from ravada_web.models import Fence
from ravada_web.services.lifecycle.fence_agents import Agent, Option
from ravada_web.services.lifecycle.fencing import FIELD
from ravada_web.web.forms import Form

# Those that most devices need, in this order; an agent's other options are folded away, unless it requires them.
FIRST = ("ip", "ipport", "username", "password", "plug", "identity_file", "lanplus", "ssl_insecure", "systems_uri")


class FenceForm(Form):
    """The options of one agent; `of` makes the form of the agent at hand."""

    agent: Agent
    kept: Fence | None

    @classmethod
    def of(cls, agent: Agent, kept: Fence | None) -> "FenceForm":
        """The form as the node is set, where it has this agent."""
        kept = kept if kept is not None and kept.agent == agent.name else None
        fields: dict[str, Any] = {FIELD + option.name: _field(option) for option in agent.options}
        form: FenceForm = type("AgentForm", (cls,), fields)(
            data={FIELD + name: value for name, value in kept.options.items()} if kept else {}
        )
        form.agent, form.kept = agent, kept
        return form

    @property
    def entered(self) -> dict[str, str]:
        """What was entered, by option."""
        return {option.name: self[FIELD + option.name].data or "" for option in self.agent.options}

    @property
    def first(self) -> list[tuple[Field, Option]]:
        """The fields that are shown at once, with their options."""
        shown = [option for option in self.agent.options if self._is_first(option)]
        order = {name: number for number, name in enumerate(FIRST)}
        shown.sort(key=lambda option: order.get(option.name, len(order)))
        return [(self[FIELD + option.name], option) for option in shown]

    @property
    def others(self) -> list[tuple[Field, Option]]:
        """The fields that are folded away."""
        return [(self[FIELD + option.name], option) for option in self.agent.options if not self._is_first(option)]

    @property
    def has_more_set(self) -> bool:
        """Whether any of those is set, or wrong."""
        return any(field.data or field.errors for field, _option in self.others)

    def hint(self, option: Option) -> str:
        """What is said below the field: the agent's own words and its default."""
        if option.secret and self.kept is not None and self.kept.secrets:
            return _("%(help)s. Leave empty to keep the stored value.", help=option.help.rstrip("."))
        if option.default and option.kind not in ("boolean", "select"):
            return _("%(help)s. Default: %(default)s", help=option.help.rstrip("."), default=option.default)
        return option.help

    def _is_first(self, option: Option) -> bool:
        return option.required or option.name in FIRST


def _field(option: Option) -> Any:
    word = option.name.replace("_", " ").replace("-", " ")
    label = _("%(word)s (required)", word=word) if option.required else word
    if option.secret:
        return PasswordField(label)
    if option.kind == "boolean":
        usual = _("yes") if option.default in ("1", "true", "yes", "on") else _("no")
        choices = [("", _("Default (%(value)s)", value=usual)), ("1", _("yes")), ("0", _("no"))]
    elif option.kind == "select":
        usual = option.default or "–"
        choices = [("", _("Default (%(value)s)", value=usual)), *((each, each) for each in option.choices)]
    else:
        return StringField(label)
    # What is kept and offered no longer is shown all the same: the service says what is wrong with it.
    return SelectField(label, choices=[SelectChoice(*choice) for choice in choices], validate_choice=False)
