"""A pseudo-language: every text of the catalogue in marks and with accents, so that any other text on a page shows."""

import re
from html.parser import HTMLParser

from babel.support import NullTranslations

OPEN, CLOSE = "⟦", "⟧"
_ACCENTED = str.maketrans("AaCcDdEeGgIiLlNnOoRrSsTtUuYyZz", "ÅåÇçÐđÊêĜĝÎîĽľÑñÖöŔŕŜŝŢţÛûÝýŽž")
# Placeholders, markup and entities stay as they are.
_KEPT = re.compile(r"(%\(\w+\)[sd]|%%|<[^>]+>|&\w+;)")
# Attributes that a person reads or hears; those named data-… hold words for our own scripts and for phones.
_READ = {
    "title",
    "aria-label",
    "placeholder",
    "alt",
    "data-label",
    "data-close",
    "data-lost",
    "data-broken",
    "data-now",
    "data-ago",
    "data-units",
}
# What programs read, or people have typed: no words of ours.
_CODE = {"script", "style", "code", "pre", "kbd", "samp", "textarea", "noscript"}


def pseudo(text: str) -> str:
    """The text as the pseudo-language has it: “Start %(name)s” becomes “⟦Ŝţåŕţ %(name)s⟧”."""
    parts = _KEPT.split(text)
    return OPEN + "".join(part if at % 2 else part.translate(_ACCENTED) for at, part in enumerate(parts)) + CLOSE


class Pseudo(NullTranslations):
    """Translations into it."""

    def ugettext(self, message: str) -> str:  # type: ignore[override]
        return pseudo(message)

    def ungettext(self, singular: str, plural: str, num: int) -> str:  # type: ignore[override]
        return pseudo(singular if num == 1 else plural)


class _Page(HTMLParser):
    """Gathers what is outside of the marks, which may hold other elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._code: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        read = [value for name, value in named.items() if name in _READ and value]
        if tag == "input" and named.get("type") in ("submit", "button", "reset"):
            read.append(named.get("value") or "")
        for value in read:
            self._note(_outside(value, 0)[0])
        if tag in _CODE:
            self._code.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._code and self._code[-1] == tag:
            self._code.pop()

    def handle_data(self, data: str) -> None:
        outside, self._depth = _outside(data, self._depth)
        if not self._code:
            self._note(outside)

    def _note(self, outside: str) -> None:
        text = " ".join(outside.split())
        if any(char.isalpha() for char in text):
            self.found.append(text)


def _outside(text: str, depth: int) -> tuple[str, int]:
    """What of the text is in no marks, of which `depth` are open before it; and how many are open after it."""
    left = []
    for char in text:
        depth += (char == OPEN) - (char == CLOSE)
        left.append(char if depth == 0 and char != CLOSE else " ")
    return "".join(left), depth


def unmarked(html: str) -> list[str]:
    """What a page shows or says beside marked texts, as far as it has letters."""
    page = _Page()
    page.feed(html)
    return page.found
