"""The form of new clones."""

from collections.abc import Iterable

from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    SelectField,
    StringField,
)
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired

from ravada_web.models import Base
from ravada_web.web.forms import Form, IntegerField
from ravada_web.web.parameters import number


class ClonesForm(Form):
    """How many clones, of which base, and their owner."""

    base_id = SelectField(_l("Base"), coerce=number, validate_choice=False)
    count = IntegerField(_l("How many"), [InputRequired(_l("Enter a number, at least 1."))], default=1)
    prefix = StringField(_l("Name prefix"), [InputRequired(_l("Enter a prefix."))])
    owner = StringField(_l("Owner"), [InputRequired(_l("Enter the owner’s name."))])
    volatile = BooleanField(_l("Volatile"))
    start_after = BooleanField(_l("Start when ready"))

    def offer(self, bases: Iterable[Base]) -> None:
        """The bases to choose from."""
        self.base_id.choices = [SelectChoice(base.id, base.name) for base in bases]
