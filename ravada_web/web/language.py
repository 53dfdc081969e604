"""The language of a page: what its reader's account says, else the browser, else the installation's."""

from flask import Flask, g, has_request_context, request
from flask_babel import get_babel, get_locale, refresh
from flask_login import current_user

from ravada_web.translations import LANGUAGES


def init_app(app: Flask) -> None:
    """Choose the language for each request. Call before anything is registered that produces text."""
    get_babel(app).locale_selector = _chosen
    app.before_request(choose_again)
    app.jinja_env.globals.update(language=language)


def choose_again() -> None:
    """Forget the language and the words of before: another request, or another choice, begins here."""
    refresh()
    g.pop("words", None)


def language() -> str:
    """The page's language, as its `lang` attribute has it."""
    return str(get_locale().language)


def _chosen() -> str | None:
    if not has_request_context():
        return None
    if current_user.is_authenticated and current_user.language in LANGUAGES:
        return str(current_user.language)
    languages = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality > 0)
    return next((name for name in languages if name in LANGUAGES), None)
