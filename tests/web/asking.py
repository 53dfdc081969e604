"""Requests as a browser makes them: a page, or, with HTMX, a fragment."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
FULL = {"HX-Request": "true", "HX-Request-Type": "full"}


def fragment(client: FlaskClient, path: str, *, method: str = "GET", at: str = "/", **options: Any) -> TestResponse:
    """The answer to HTMX asking for a part of the page that shows `at`."""
    headers = PARTIAL | {"HX-Current-URL": f"http://localhost{at}"}
    return client.open(path, method=method, headers=headers, **options)


def is_page(answer: TestResponse) -> bool:
    return answer.text.lstrip().startswith("<!doctype html>")
