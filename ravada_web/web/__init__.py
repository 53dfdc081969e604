"""The pages: HTTP only. Views load, authorise, validate, make one service call and respond."""

from flask import Flask

from ravada_web.extensions import db, login
from ravada_web.models import User
from ravada_web.web import errors, filters, guard, security
from ravada_web.web.views import auth, bases, clones, desktops, importing, joining, nodes, operations

TOPICS = (auth, desktops, nodes, joining, bases, importing, clones, operations)


def init_app(app: Flask) -> None:
    """Bring the pages, their errors, filters and headers into the application."""
    for topic in TOPICS:
        app.register_blueprint(topic.blueprint)
    login.user_loader(_load_user)
    login.unauthorized_handler(guard.ask_to_sign_in)
    app.before_request(guard.require_sign_in)
    filters.init_app(app)
    errors.init_app(app)
    security.init_app(app)


def _load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id))
