"""The forms of signing in and of one's own account."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import PasswordField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import EqualTo, InputRequired, Length

from ravada_web.errors import InvalidInput
from ravada_web.services.sign_in.passwords import SHORTEST_PASSWORD
from ravada_web.translations import LANGUAGES
from ravada_web.web.forms import Form

# argon2 takes any length; a form does not have to.
LONGEST = Length(max=1024, message=_l("At most 1024 characters."))


class SignInForm(Form):
    """Name and password."""

    name = StringField(_l("Name"), [InputRequired(_l("Enter your name."))])
    password = PasswordField(_l("Password"), [InputRequired(_l("Enter your password."))])


class CodeForm(Form):
    """A code of the second factor."""

    code = StringField(_l("Code"), [InputRequired(_l("Enter the code.")), Length(max=64)])

    def refuse_code(self) -> None:
        """Show that the code was not taken, whatever the reason."""
        self.refuse(InvalidInput({"code": _("That code is not valid. Wait for the next one.")}))


class PasswordForm(Form):
    """A new password of one's own."""

    present = PasswordField(_l("Current password"), [InputRequired(_l("Enter your current password.")), LONGEST])
    password = PasswordField(
        _l("New password"),
        [
            InputRequired(_l("Enter a new password.")),
            Length(min=SHORTEST_PASSWORD, message=_l("At least %(count)s characters.", count=SHORTEST_PASSWORD)),
            LONGEST,
        ],
    )
    again = PasswordField(
        _l("Confirm new password"),
        [EqualTo("password", _l("The passwords don’t match."))],
    )


class ConfirmForm(Form):
    """Something that asks for the password once more."""

    password = PasswordField(_l("Your password"), [InputRequired(_l("Enter your password.")), LONGEST])


class SetUpForm(ConfirmForm, CodeForm):
    """A second factor: one of its codes, and the password."""


class LanguageForm(Form):
    """The language of one's own pages."""

    # The service refuses what is not there, in words of ours.
    language = SelectField(
        _l("Language"),
        choices=[
            SelectChoice("", _l("Same as browser")),
            *(SelectChoice(code, name) for code, name in LANGUAGES.items()),
        ],
        validate_choice=False,
    )
