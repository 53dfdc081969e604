"""A message: what is stored and raised in place of a finished sentence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Union

from markupsafe import Markup, escape

Figure = Union[str, int, float, bool, None, datetime, "Message", Sequence["str | int | Message"]]

# Two kinds have no text of their own: a sentence kept as it is, and messages after one another.
TEXT = "text"
SENTENCES = "sentences"


@dataclass(frozen=True)
class Message:
    """A kind ("operations.cancelled_by") and the figures in it ({"name": "alice"}); false when it is empty.

    `str()` words it in the present reader's language, and never raises. A name's last word is its unit:
    `_mib`, `_bytes`, `_seconds`, `_ms`, `_percent`, `_at` (a moment); see formats.py.
    """

    kind: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        from ravada_web.messages.wording import worded  # the texts are made of what is defined here

        return worded(self)

    def __html__(self) -> Markup:
        return escape(str(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self.kind)

    def __hash__(self) -> int:
        return hash((self.kind, json.dumps(self.to_json(), sort_keys=True, default=str)))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types, for a JSON column or Redis."""
        return {"kind": self.kind, "figures": {name: _plain(value) for name, value in self.figures.items()}}

    @classmethod
    def from_json(cls, stored: object) -> "Message":
        """The message that `to_json` made this of. A plain text, as stored before, becomes a message that keeps it."""
        if isinstance(stored, Mapping) and isinstance(stored.get("kind"), str):
            figures = stored.get("figures")
            known = figures if isinstance(figures, Mapping) else {}
            return cls(stored["kind"], {name: _figure(value) for name, value in known.items()})
        return text(str(stored)) if stored else NOTHING

    def dumps(self) -> str:
        """As a compact line of JSON, "" for an empty one: what a column holds."""
        if not self:
            return ""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":"), default=str)

    @classmethod
    def loads(cls, stored: str) -> "Message":
        """The message that `dumps` made this of; any other text becomes a message that keeps it as it is."""
        if not stored.startswith("{"):
            return text(stored)
        try:
            document = json.loads(stored)
        except ValueError:
            return text(stored)
        return cls.from_json(
            document if isinstance(document, dict) and isinstance(document.get("kind"), str) else stored
        )


NOTHING = Message()


def _plain(value: Any) -> Any:
    match value:
        case Message():
            return value.to_json()
        case datetime():
            return value.isoformat()
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


def _figure(value: Any) -> Any:
    match value:
        case {"kind": str()}:
            return Message.from_json(value)
        case list():
            return [_figure(item) for item in value]
    return value


def message(kind: str, /, **figures: Figure) -> Message:
    """A message of that kind; its text stands under the same kind in the package's file of that topic.

    A figure is a text, a number, a moment, another message, or a list of texts or messages. Write what a person
    or a program has named as text, and what the product says as a message.
    """
    return Message(kind, figures)


def text(sentence: str) -> Message:
    """A sentence kept as it is: another program's words, or a row of before there were kinds."""
    return Message(TEXT, {"text": sentence}) if sentence else NOTHING


def sentences(*parts: "Message | str") -> Message:
    """These after one another, the empty ones left out; one alone is itself."""
    messages = [part for part in map(as_message, parts) if part]
    if len(messages) < 2:
        return messages[0] if messages else NOTHING
    return Message(SENTENCES, {"items": messages})


def as_message(sentence: "Message | str") -> Message:
    """The message itself; a finished sentence becomes one that is kept as it is."""
    return sentence if isinstance(sentence, Message) else text(str(sentence))
