"""Ravada Web: virtual desktops on a cluster of ordinary Linux hosts. This module makes the application."""

import re
from pathlib import Path

from flask import Flask
from sqlalchemy.pool import NullPool

from ravada_web.config import Settings, read_settings
from ravada_web.extensions import babel, csrf, db, limiter, login, migrate, queues
from ravada_web.logs import configure_logs

ROOT = Path(__file__).resolve().parent.parent
# As many connections are open as may be, and none comes free: a page says so.
POOL_SECONDS = 2.5


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application from `settings` (default: the environment's). Raises CannotRun where they are of no use."""
    settings = settings or read_settings()
    settings.make_folders()
    configure_logs()
    app = Flask("ravada_web", root_path=str(ROOT), template_folder="templates", static_folder="static")
    app.config.update(_flask_config(settings))
    app.extensions["settings"] = settings
    for extension in (db, login, csrf, queues, limiter):  # the limiter counts in the queues' Redis
        extension.init_app(app)
    babel.init_app(app, default_locale=settings.language)
    migrate.init_app(app, directory=str(ROOT / "migrations"))
    _fill_rooms(app)
    return app


def _flask_config(settings: Settings) -> dict[str, object]:
    sqlite = settings.database_url.startswith("sqlite")
    return {
        "SECRET_KEY": settings.secret_key(),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            # Errors go to logs and pages; the values of their statements, hashes of passwords among them, do not.
            "hide_parameters": True,
            # A connection to SQLite costs less than keeping one safe across the workers' forks.
            **({"poolclass": NullPool} if sqlite else {"pool_pre_ping": True, "pool_timeout": POOL_SECONDS}),
        },
        "REDIS_URL": settings.redis_url,
        # limits has its own name for a socket's scheme.
        "RATELIMIT_STORAGE_URI": re.sub("^unix:", "redis+unix:", settings.redis_url),
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
        # With the prefix no other host of the domain, and no page by plain HTTP, can set it (RFC 6265bis, 4.1.3.2).
        "SESSION_COOKIE_NAME": "__Host-session" if settings.https else "session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.https,
        "WTF_CSRF_TIME_LIMIT": None,
        "MAX_CONTENT_LENGTH": 4 * 1024 * 1024,
    }


def _fill_rooms(app: Flask) -> None:
    """Register what the upper rooms bring; they import this package, so they are imported here and not above."""
    from ravada_web import cli, web
    from ravada_web.services import changes, pending
    from ravada_web.services.audit import chain
    from ravada_web.services.nodes import trust
    from ravada_web.services.operations import outbox

    pending.listen()
    outbox.listen()
    changes.listen()
    chain.listen()
    trust.listen(app)
    web.init_app(app)
    cli.init_app(app)
