"""The form of a pool."""

from flask_babel import lazy_gettext as _l
from wtforms import IntegerField
from wtforms.validators import InputRequired, Optional

from ravada_web.web.forms import Form


class PoolForm(Form):
    """A storage pool's marks, in percent in use, and its floor in MiB."""

    warn_percent = IntegerField(_l("Warn from (%)"), [InputRequired(_l("Between 1 and 99."))])
    critical_percent = IntegerField(_l("Critical from (%)"), [InputRequired(_l("A number, at most 100."))])
    floor_mib = IntegerField(_l("Floor (MiB)"), [Optional()])
