"""How texts are written in the topics' files; Babel finds them by these names."""

from typing import NamedTuple


def N_(text: str) -> str:  # noqa: N802  gettext's own name
    """Mark a text for the catalogue; it is translated when a message is worded."""
    return text


class Plural(NamedTuple):
    """Two texts, chosen between by the figure `count` and the language's own rules."""

    one: str
    many: str


Template = str | Plural
