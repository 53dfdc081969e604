"""What an address or a form says, before anybody looks at it: numbers that a row can have, text that a row can hold."""

from flask import Flask, abort, request
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.routing import IntegerConverter, Map

# The largest that PostgreSQL's INTEGER holds: a larger id or page is one that is not there.
LARGEST = 2**31 - 1
# A list shows 50 rows, a base's page a thousand nodes.
MOST_VALUES = 2_000


class Id(IntegerConverter):
    """`<int:…>` in an address: a number that a row can have as its id; others are answered by 404."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=LARGEST)


def init_app(app: Flask) -> None:
    """Look at every request first of all. Call before routes are made."""
    app.url_map.converters["int"] = Id
    app.before_request(_refuse_nul)
    app.before_request(_refuse_too_many)


def number(text: str) -> int:
    """An id or a page's number in a query or a form: for `type=`. Raises ValueError for what no row can have."""
    value = int(text)
    if not -LARGEST <= value <= LARGEST:
        raise ValueError(text)
    return value


def page() -> int:
    """The number of the list's page that is asked for, from 1."""
    return request.args.get("page", 1, type=number)


def _refuse_nul() -> None:
    """PostgreSQL's texts hold no NUL, and nobody types one."""
    if "\0" in request.path or _has_nul(request.args) or _has_nul(request.form):
        abort(400, _("The input contains a NUL character. Remove it and try again."))


def _refuse_too_many() -> None:
    """Nobody selects so much on a page of ours; each value may cost a query's time."""
    if max(_count(request.args), _count(request.form)) > MOST_VALUES:
        abort(413, _("Too much at once: at most %(most)s values.", most=MOST_VALUES))


def _count(texts: MultiDict[str, str]) -> int:
    return sum(1 for _value in texts.items(multi=True))


def _has_nul(texts: MultiDict[str, str]) -> bool:
    return any("\0" in name or "\0" in text for name, text in texts.items(multi=True))
