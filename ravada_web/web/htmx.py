"""What HTMX needs of an answer: a fragment or a page, and never a redirect to a partial request."""

import json
from typing import Any
from urllib.parse import urlsplit

from flask import Response, flash, make_response, redirect, render_template, request


def wants_fragment() -> bool:
    """Whether a part of a page was asked for: the one place that decides it."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Request-Type") != "full"


def show(page: str, fragment: str, status: int = 200, /, **context: Any) -> Response:
    """Answer with the page, or with the fragment alone to a partial request; both are given the same context."""
    return make_response(render_template(fragment if wants_fragment() else page, **context), status)


def here() -> str:
    """The path and query of this request."""
    query = request.query_string.decode("utf-8", "replace")
    return f"{request.path}?{query}" if query else request.path


def browser_path() -> str:
    """The path and query that the browser shows, as HTMX reports it; else the front page."""
    parts = urlsplit(request.headers.get("HX-Current-URL", ""))
    return local_path(f"{parts.path}?{parts.query}" if parts.query else parts.path)


def local_path(target: str | None, default: str = "/") -> str:
    """The target if it is a path on this site, else the default: nobody is sent elsewhere by a crafted link."""
    target = target or ""
    odd = "\\" in target or any(ord(character) <= 0x20 or ord(character) == 0x7F for character in target)
    return target if target.startswith("/") and not target.startswith("//") and not odd else default


def sent_to(url: str, status: int = 204) -> Response:
    """Have HTMX load another page."""
    return Response(status=status, headers={"HX-Redirect": url})


def done(url: str, text: str = "", kind: str = "success") -> Response:
    """Answer a change that went well: on to `url` with the message, or, when that is the page in view, refresh it."""
    if wants_fragment() and browser_path() == url:
        return add_toast(Response(status=204), text, kind, refresh=True)
    if text:
        flash(text, kind)
    return sent_to(url) if wants_fragment() else redirect(url, 303)  # type: ignore[return-value]


def add_toast(response: Response, text: str, kind: str, refresh: bool = False) -> Response:
    """Add a toast to the answer of a partial request, and have the live parts of the page fetched again."""
    events: dict[str, Any] = {"toast": {"text": text, "kind": kind}} if text else {}
    if refresh:
        events |= {"refresh": {}, "dialogclose": {}}
    response.headers["HX-Trigger"] = json.dumps(events)
    return response
