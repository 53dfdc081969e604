"""How a state is shown: a word, a colour, an icon."""

from dataclasses import dataclass

from flask_babel.speaklater import LazyString


@dataclass(frozen=True)
class Look:
    """How a state is shown; `busy` states turn."""

    word: LazyString | str
    colour: str
    icon: str
    busy: bool = False


def look_of(looks: dict[str, Look], state: str) -> Look:
    """Returns how the state is shown; one that has no label is shown as it is."""
    return looks.get(state) or Look(state, "secondary", "help-circle")
