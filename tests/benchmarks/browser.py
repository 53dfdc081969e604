"""A browser without JavaScript, for benchmarks and crowds: signs in, and posts forms, with their tokens."""

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class Browser:
    """Keeps cookies; follows no redirects, so that a POST is timed alone."""

    def __init__(self, url: str) -> None:
        self._url = url
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar, _NoRedirects)

    def get(self, path: str) -> str:
        """A page's text."""
        with self._opener.open(self._url + path, timeout=60) as answer:
            text: str = answer.read().decode()
        return text

    def post(self, page: str, fields: dict[str, Any]) -> None:
        """Fill in the form of a page and send it. Raises RuntimeError unless it is accepted (303)."""
        self.send(page, self.token(page), fields)

    def token(self, page: str) -> str:
        """The token of a page's form."""
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(page))
        if found is None:
            raise RuntimeError(f"{page} has no form")
        return found[1]

    def send(self, page: str, token: str, fields: dict[str, Any]) -> None:
        """Send a form whose token is at hand. Raises RuntimeError unless it is accepted (303)."""
        status, said = self.answer(page, token, fields)
        if status != 303:
            raise RuntimeError(f"{page} answered {status}: {said[:2000]}")

    def answer(self, page: str, token: str, fields: dict[str, Any]) -> tuple[int, str]:
        """Send a form whose token is at hand, and tell what is answered: the status, and the page."""
        data = urllib.parse.urlencode({"csrf_token": token, **fields}).encode()
        try:
            with self._opener.open(self._url + page, data, timeout=60) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None
