"""The question before harm: what will be lost, in a page or a dialog, with the form that does it."""

from dataclasses import dataclass, field

from flask import Response

from ravada_web.web.forms import Form
from ravada_web.web.htmx import show

NAMED = 12


@dataclass(frozen=True)
class Question:
    """`effects` say what happens and what is lost; `names` what it happens to; `choices` are (value, word, hint);
    `commands` are run; `skipped` says what it does not happen to, and why; `form` asks for what has to be entered, such
    as the password."""

    title: str
    effects: list[str]
    action: str
    button: str
    back: str
    names: list[str] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: list[tuple[str, str, str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    form: Form | None = None
    danger: bool = True

    @property
    def shown(self) -> list[str]:
        """As many names as can be read at a glance."""
        return self.names[:NAMED]

    @property
    def more(self) -> int:
        """How many names are not shown."""
        return len(self.names) - len(self.shown)


def show_question(question: Question, status: int = 200) -> Response:
    """Show the question: in the dialog of the page in view, or as a page of its own without JavaScript."""
    return show("confirm/page.html", "confirm/_question.html", status, question=question)
