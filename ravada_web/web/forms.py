"""The forms: fields, types and bounds that a browser can check; what only the services know they say themselves."""

from typing import Any

from flask_wtf import FlaskForm

from ravada_web.errors import InvalidInput


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
