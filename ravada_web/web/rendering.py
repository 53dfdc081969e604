"""What one page's template calls by the hundred, each thing worked out once: addresses, words and icons."""

from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from babel.support import NullTranslations, Translations
from flask import Flask, current_app, g, url_for
from flask_babel import get_domain
from markupsafe import Markup, escape

SPRITE = "vendor/tabler-icons@3.51.0/sprite.svg"
# About a page of each of a thousand clones; addresses with longer values, such as queries, are not kept.
KEPT = 8192
LONGEST = 100


def init_app(app: Flask) -> None:
    """Give the templates these in place of the general ones."""
    app.jinja_env.globals.update(asset=asset, icon=icon, url_for=address, _=word)


def address(endpoint: str, **values: Any) -> str:
    """As Flask's `url_for`, whose answer is here a matter of its arguments alone (whole endpoints, no prefix)."""
    for value in values.values():
        if not isinstance(value, int) and not (isinstance(value, str) and len(value) <= LONGEST):
            return url_for(endpoint, **values)
    return _address(endpoint, **values)


_address = lru_cache(maxsize=KEPT, typed=True)(url_for)


def word(text: str, **variables: Any) -> Markup:
    """The translation of a string, `%(name)s` filled in and escaped."""
    if not variables:
        return _plain_words()[text]
    escaped = {name: escape(value) for name, value in variables.items()}
    return Markup(_translations().ugettext(text) % escaped)  # noqa: S704  ours; what is filled in is escaped


class _Words(dict[str, Markup]):
    """Translations without variables, each looked up once a request."""

    def __missing__(self, text: str) -> Markup:
        found = self[text] = Markup(_translations().ugettext(text) % ())  # noqa: S704  ours
        return found


def _plain_words() -> _Words:
    if "words" not in g:
        g.words = _Words()
    found: _Words = g.words
    return found


def _translations() -> NullTranslations | Translations:
    if "translations" not in g:
        g.translations = get_domain().get_translations()
    found: NullTranslations | Translations = g.translations
    return found


@cache
def icon(name: str, look: str = "") -> Markup:
    """One of the sprite's icons; `look` are classes."""
    drawn = '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>'
    return Markup(drawn).format(look, asset(SPRITE), name)  # noqa: S704  a constant; the rest is escaped


@cache
def asset(path: str) -> str:
    """The address of a static file, its version in it, so that browsers keep it until it changes."""
    changed = (Path(str(current_app.static_folder)) / path).stat().st_mtime_ns
    return url_for("static", filename=path, v=f"{changed // 1_000_000:x}")
