"""A message in words: its kind's text in the reader's language, its figures formatted by their units."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from flask_babel import get_translations

from ravada_web.messages.formats import figure
from ravada_web.messages.marks import Plural, Template
from ravada_web.messages.message import SENTENCES, TEXT, Message
from ravada_web.messages.texts import TEXTS

log = logging.getLogger(__name__)
_PLACEHOLDER = re.compile(r"%\(\w+\)s")


def worded(message: Message) -> str:
    """The message in the present language. Of a kind without a text, or with other figures than its text has, the
    kind and the figures are shown, and it is logged."""
    if message.kind == TEXT:
        return str(message.figures.get("text", ""))
    if message.kind == SENTENCES:
        return " ".join(map(str, message.figures.get("items", ())))
    if not message.kind:
        return ""
    formatted = {name: figure(name, value) for name, value in message.figures.items()}
    try:
        return _translated(TEXTS[message.kind], message.figures) % formatted
    except (KeyError, TypeError, ValueError) as error:
        log.warning("no text for message kind %s: %r", message.kind, error)
        return f"{message.kind} ({', '.join(f'{name}: {value}' for name, value in formatted.items())})"


def _translated(template: Template, figures: Mapping[str, Any]) -> str:
    translations = get_translations()
    if isinstance(template, Plural):
        return str(translations.ungettext(template.one, template.many, figures["count"]))
    return str(translations.ugettext(template))


def kinds_saying(part: str) -> list[str]:
    """The kinds whose text, in the present language, has this in it, upper or lower case; for searches."""
    lowered = part.lower()
    return [
        kind
        for kind, template in TEXTS.items()
        if lowered in _PLACEHOLDER.sub("", _translated(template, {"count": 2})).lower()
    ]
