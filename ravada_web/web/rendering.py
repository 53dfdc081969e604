"""What one page's template calls by the hundred, each thing worked out once: addresses, words and icons."""

from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, g, url_for
from flask_babel import get_domain
from flask_babel.speaklater import LazyString
from markupsafe import Markup, escape

SPRITE = "vendor/tabler-icons@3.51.0/sprite.svg"
# About a page of each of a thousand clones; addresses with longer values, such as queries, are not kept.
KEPT = 8192
LONGEST = 100


def init_app(app: Flask) -> None:
    """Give the templates these in place of the general ones."""
    app.jinja_env.globals.update(asset=asset, icon=icon, url_for=address, _=say)


def address(endpoint: str, **values: Any) -> str:
    """As Flask's `url_for`, whose answer is here a matter of its arguments alone (whole endpoints, no prefix)."""
    for value in values.values():
        if not isinstance(value, int) and not (isinstance(value, str) and len(value) <= LONGEST):
            return url_for(endpoint, **values)
    return _address(endpoint, **values)


_address = lru_cache(maxsize=KEPT, typed=True)(url_for)


class Words(dict[str, Markup]):
    """What the words of one page are in its reader's language, each looked up once."""

    def __init__(self) -> None:
        super().__init__()
        self._translations = get_domain().get_translations()

    def __missing__(self, text: str) -> Markup:
        markup = self[text] = Markup(self._translations.ugettext(text) % ())  # noqa: S704  ours
        return markup

    def say(self, text: str, **variables: Any) -> Markup:
        """The translation of a string, `%(name)s` filled in and escaped."""
        if not variables:
            return self[text]
        escaped = {name: escape(value) for name, value in variables.items()}
        return Markup(self._translations.ugettext(text) % escaped)  # noqa: S704  what is filled in is escaped


def say(text: str, **variables: Any) -> Markup:
    """A word of the page that is being made."""
    if "words" not in g:
        g.words = Words()
    markup: Markup = g.words.say(text, **variables)
    return markup


class Later(LazyString):
    """A word that is said when it is shown."""

    def __html__(self) -> str:
        return str(self)


def later(text: str) -> Later:
    """A word of a table that is made before there is a page."""
    return Later(say, text)


@cache
def icon(name: str, look: str = "") -> Markup:
    """One of the sprite's icons; `look` are classes."""
    template = '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>'
    return Markup(template).format(look, asset(SPRITE), name)  # noqa: S704  a constant; the rest is escaped


@cache
def asset(path: str) -> str:
    """The address of a static file, its version in it, so that browsers keep it until it changes."""
    changed = (Path(str(current_app.static_folder)) / path).stat().st_mtime_ns
    return url_for("static", filename=path, v=f"{changed // 1_000_000:x}")
