"""The headers on every answer: what a browser may load and run here, and what it may keep."""

from flask import Flask, Response, current_app, request

from ravada_web.web.cookies import Sessions

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
ONE_YEAR = 31_536_000


def init_app(app: Flask) -> None:
    """Put the headers on every answer, errors included."""
    app.session_interface = Sessions()
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Pages are never kept by the browser; static files whose address carries their version are kept for a year."""
    response.headers.update(HEADERS)
    if current_app.extensions["settings"].https:
        response.headers["Strict-Transport-Security"] = f"max-age={ONE_YEAR}"
    if request.endpoint == "static":
        versioned = "v" in request.args or request.path.startswith("/static/vendor/")
        caching = f"public, max-age={ONE_YEAR}, immutable" if versioned else "no-cache"
        response.headers["Cache-Control"] = caching
    else:
        response.headers.setdefault("Cache-Control", "no-store")
        response.vary.update(("HX-Request", "HX-Request-Type", "Cookie", "Accept-Language"))
    return response
