"""The forms: fields, types and bounds that a browser can check; what only the services know they say themselves."""

from collections.abc import Iterable
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    IntegerField,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Optional

from ravada_web.errors import InvalidInput
from ravada_web.models import Base
from ravada_web.web.asked import number


class Form(FlaskForm):
    """A form whose CSRF token the application checks for every request, in forms and headers alike."""

    class Meta:
        csrf = False

    @property
    def values(self) -> dict[str, Any]:
        """What was entered, texts without the blanks around them."""
        return {name: value.strip() if isinstance(value, str) else value for name, value in self.data.items()}

    def refuse(self, error: InvalidInput) -> None:
        """Show what a service refused beside the fields it names; the rest at the form's top."""
        for name, reason in error.fields.items():
            if name in self._fields:
                self._fields[name].errors = [*self._fields[name].errors, reason]
            else:
                self.form_errors.append(reason)


def _required(text: Any) -> InputRequired:
    return InputRequired(text)


class SignInForm(Form):
    name = StringField(_l("Name"), [_required(_l("Enter your name."))])
    password = PasswordField(_l("Password"), [_required(_l("Enter your password."))])


class ImportForm(Form):
    name = StringField(_l("Name"), [_required(_l("Give the base a name."))])
    description = StringField(_l("Description"))
    source = RadioField(
        _l("Made from"),
        choices=[
            SelectChoice("domain", _l("A virtual machine of the master")),
            SelectChoice("file", _l("qcow2 files on the master")),
        ],
        default="domain",
    )
    domain = SelectField(_l("Virtual machine"), validate_choice=False)
    paths = TextAreaField(_l("Files"))
    memory_mib = IntegerField(_l("Memory (MiB)"), [Optional()], default=2048)
    vcpus = IntegerField(_l("Processors"), [Optional()], default=2)

    def offer(self, domains: list[str]) -> None:
        """The domains to choose from."""
        self.domain.choices = [SelectChoice("", _("Choose…")), *(SelectChoice(name) for name in domains)]


class ClonesForm(Form):
    base_id = SelectField(_l("Base"), coerce=number, validate_choice=False)
    count = IntegerField(_l("How many"), [_required(_l("A number, at least 1."))], default=1)
    prefix = StringField(_l("Names begin with"), [_required(_l("Give the names a beginning."))])
    owner = StringField(_l("Owner"), [_required(_l("Enter the name of the user whose desktops they are."))])
    volatile = BooleanField(_l("Volatile"))
    start_after = BooleanField(_l("Start them once made"))

    def offer(self, bases: Iterable[Base]) -> None:
        """The bases to choose from."""
        self.base_id.choices = [SelectChoice(base.id, base.name) for base in bases]
