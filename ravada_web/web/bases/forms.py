"""The forms of bases."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Optional

from ravada_web.web.forms import Form, IntegerField
from ravada_web.web.people.forms import Ticks


class ImportForm(Form):
    """Where a base is imported from."""

    name = StringField(_l("Name"), [InputRequired(_l("Enter a name."))])
    description = StringField(_l("Description"))
    source = RadioField(
        _l("Source"),
        choices=[
            SelectChoice("domain", _l("Virtual machine on the master")),
            SelectChoice("file", _l("qcow2 files on the master")),
        ],
        default="domain",
    )
    domain = SelectField(_l("Virtual machine"), validate_choice=False)
    paths = TextAreaField(_l("Files"))
    memory_mib = IntegerField(_l("Memory (MiB)"), [Optional()], default=2048)
    vcpus = IntegerField(_l("vCPUs"), [Optional()], default=2)

    def offer(self, domains: list[str]) -> None:
        """The domains to choose from."""
        self.domain.choices = [SelectChoice("", _("Choose…")), *(SelectChoice(name) for name in domains)]


class OffersForm(Form):
    """Who a base is offered to, and what their desktops are."""

    to_all = BooleanField(_l("Everyone"))
    groups = Ticks(_l("Groups"))
    users = Ticks(_l("Users"))
    names = TextAreaField(_l("Add users by name"))
    kind = RadioField(
        _l("Desktop type"),
        [InputRequired(_l("Choose one."))],
        choices=[SelectChoice("persistent", _l("Persistent")), SelectChoice("volatile", _l("Volatile"))],
        default="persistent",
    )
    users_may_delete = BooleanField(_l("Users can delete their own desktops"))
    users_may_refuse = BooleanField(_l("Users can block screen viewing"))
    restarts = BooleanField(_l("Start persistent desktops again after a crash of their node"))
    remakes = BooleanField(_l("Make volatile desktops again when their node fails"))
