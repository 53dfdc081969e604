"""The forms: fields, types and bounds that a browser can check; what only the services know they say themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import wtforms
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms.validators import StopValidation

from ravada_web.errors import InvalidInput

Result = TypeVar("Result")


class _Unreadable:
    """Of a field whose input is no number that alone is said: what its validators ask for is not to the point."""

    def pre_validate(self, _form: wtforms.Form) -> None:
        """Raises StopValidation where the input was not read."""
        if self.process_errors:  # type: ignore[attr-defined]
            raise StopValidation()


class IntegerField(_Unreadable, wtforms.IntegerField):
    """A whole number; None where nothing is entered."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Raises ValueError, worded for who entered it."""
        self.data = None
        if any(map(str.strip, valuelist)):
            try:
                super().process_formdata(valuelist)
            except ValueError:
                raise ValueError(_("Enter a whole number.")) from None


class FloatField(_Unreadable, wtforms.FloatField):
    """A number, with a point or a comma; None where nothing is entered."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Raises ValueError, worded for who entered it."""
        self.data = None
        if any(map(str.strip, valuelist)):
            try:
                super().process_formdata([value.replace(",", ".") for value in valuelist])
            except ValueError:
                raise ValueError(_("Enter a number.")) from None


@dataclass(frozen=True)
class Accepted(Generic[Result]):
    """A form that was taken, with what the service returned."""

    result: Result


class Form(FlaskForm):
    """A form whose CSRF token the application checks for every request, in forms and headers alike."""

    class Meta:
        """What WTForms reads."""

        csrf = False

    @property
    def values(self) -> dict[str, Any]:
        """What was entered, texts without the blanks around them."""
        return {name: value.strip() if isinstance(value, str) else value for name, value in self.data.items()}

    def submit(self, service: Callable[[], Result]) -> Accepted[Result] | None:
        """Call the service if every field is valid; None where a field or the service refused, the reasons then in
        the form. Raises what else the service raises."""
        if not self.validate():
            return None
        try:
            return Accepted(service())
        except InvalidInput as error:
            self.refuse(error)
            return None

    def refuse(self, error: InvalidInput) -> None:
        """Show what a service refused beside the fields it names; the rest at the form's top."""
        for name, reason in error.fields.items():
            if name in self._fields:
                self._fields[name].errors = [*self._fields[name].errors, reason]
            else:
                self.form_errors.append(reason)
