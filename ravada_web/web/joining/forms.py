"""The form of a password that is entered once."""

from flask_babel import lazy_gettext as _l
from wtforms import PasswordField
from wtforms.validators import InputRequired

from ravada_web.web.forms import Form


class PasswordForm(Form):
    """A password that is typed once."""

    password = PasswordField(_l("Password"), [InputRequired(_l("Enter that user’s password on the host."))])
