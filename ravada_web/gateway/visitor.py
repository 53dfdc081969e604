"""The visitor: the session's token in the cookie that the pages sign, and whether the request comes from a page of
ours.
"""

from urllib.parse import urlsplit

from flask import Flask
from itsdangerous import BadSignature
from werkzeug.http import parse_cookie

from ravada_web.gateway.http import Head
from ravada_web.gateway.proxy import Caller


def token(app: Flask, head: Head) -> str:
    """The session's token in the request's cookie; "" without one, or with one that we did not sign."""
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    # The pages' own parser: an odd cookie of another product on this host must not hide ours.
    cookie = parse_cookie(head.get("cookie")).get(app.config["SESSION_COOKIE_NAME"], "")
    try:
        session = serializer.loads(cookie, max_age=app.permanent_session_lifetime.total_seconds())
    except BadSignature:
        return ""
    user_id = session.get("_user_id", "")
    return user_id if isinstance(user_id, str) else ""


def from_our_page(head: Head, caller: Caller) -> bool:
    """Whether the Origin is this very site (CVE-2015-0259: without it any page could use a visitor's cookie)."""
    origin = urlsplit(head.get("origin"))
    return origin.scheme == caller.scheme and bool(origin.netloc) and origin.netloc == head.get("host")
