"""The form of a pool."""

from flask_babel import lazy_gettext as _l
from wtforms.validators import InputRequired, Optional

from ravada_web.web.forms import Form, IntegerField


class PoolForm(Form):
    """A storage pool's marks, in percent in use, and its floor in MiB."""

    warn_percent = IntegerField(_l("Warning (%)"), [InputRequired(_l("Enter a number between 1 and 99."))])
    critical_percent = IntegerField(_l("Critical (%)"), [InputRequired(_l("Enter a number up to 100."))])
    floor_mib = IntegerField(_l("Reserved (MiB)"), [Optional()])
