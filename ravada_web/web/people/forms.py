"""The forms of people: users, groups, quotas, an operator's scope, and members."""

from collections.abc import Iterable
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField, FileRequired
from wtforms import (
    BooleanField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length, Optional

from ravada_web.models import Group, Role
from ravada_web.services.people.quotas import Quota
from ravada_web.web.forms import Form, IntegerField
from ravada_web.web.labels.people import ROLES
from ravada_web.web.parameters import number
from ravada_web.web.sign_in.forms import LONGEST

QUOTA_FIELDS = ("most_clones", "most_running", "most_memory_mib")


class Ticks(SelectMultipleField):
    """Any number of ids; whether they exist the service says."""

    def __init__(self, label: Any, **kwargs: Any) -> None:
        super().__init__(label, coerce=number, validate_choice=False, choices=[], **kwargs)

    def offer(self, items: Iterable[Any]) -> None:
        """What can be ticked: rows with an id and a name."""
        self.choices = [(item.id, item.name) for item in items]


class QuotaForm(Form):
    """The quota of a user or a group."""

    most_clones = IntegerField(_l("Desktops"), [Optional()])
    most_running = IntegerField(_l("Running at once"), [Optional()])
    most_memory_mib = IntegerField(_l("Running memory (MiB)"), [Optional()])

    @property
    def most(self) -> Quota:
        """What was entered."""
        return Quota(*(self[name].data for name in QUOTA_FIELDS))


class PersonForm(QuotaForm):
    """What is set of a user."""

    role = SelectField(
        _l("Role"),
        [InputRequired(_l("Choose a role."))],
        choices=[SelectChoice(role.value, ROLES[role]) for role in Role],
        default=Role.USER.value,
        validate_choice=False,
    )
    groups = Ticks(_l("Groups"))
    present = PasswordField(_l("Your password"), [Optional(), LONGEST])

    @property
    def settings(self) -> dict[str, Any]:
        """What was entered, as the service takes it."""
        chosen = {"role": self.role.data, "group_ids": self.groups.data, "most": self.most}
        return chosen | {"present": self.present.data or ""}

    def offer(self, groups: Iterable[Group]) -> None:
        """The groups to choose from."""
        self.groups.offer(groups)


class NewPersonForm(PersonForm):
    """A new user."""

    name = StringField(_l("Name"), [InputRequired(_l("Enter a name."))])
    password = PasswordField(_l("Password"), [Optional(), LONGEST])


class ScopeForm(Form):
    """What an operator is given."""

    part = RadioField(
        _l("Scope"),
        [InputRequired(_l("Choose one."))],
        choices=[
            SelectChoice("all", _l("Everything")),
            SelectChoice("some", _l("Only these bases and nodes")),
        ],
        default="all",
    )
    bases = Ticks(_l("Bases"))
    nodes = Ticks(_l("Nodes"))


class GroupForm(QuotaForm):
    """What is set of a group."""

    name = StringField(_l("Name"), [InputRequired(_l("Enter a name."))])
    description = StringField(_l("Description"), [Length(max=500, message=_l("At most 500 characters."))])

    @property
    def settings(self) -> dict[str, Any]:
        """What was entered, as the service takes it."""
        return {"name": self.values["name"], "description": self.values["description"], "most": self.most}


class MembersForm(Form):
    """Names of users to add."""

    names = TextAreaField(_l("Names"), [InputRequired(_l("Enter at least one name."))])


class ImportForm(Form):
    """One's own password, for a table that asks for it."""

    password = PasswordField(_l("Your password"), [Optional(), LONGEST])


class TableForm(Form):
    """A table of users."""

    file = FileField(_l("File"), [FileRequired(_l("Choose a file."))])
    draws = BooleanField(_l("Generate passwords for new users without one"), default=True)
    makes_groups = BooleanField(_l("Create groups that do not exist yet"))
