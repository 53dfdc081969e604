"""The pages: HTTP only. Views load, authorise, validate, make one service call and respond."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from ravada_web.extensions import login
from ravada_web.web import asked, compression, errors, filters, guard, rendering, rq_dashboard, security
from ravada_web.web.views import (
    account,
    alerts,
    audit,
    auth,
    bases,
    clones,
    console,
    desktops,
    first_steps,
    groups,
    guide,
    importing,
    joining,
    nodes,
    offers,
    operations,
    people,
    people_actions,
    people_table,
    pictures,
    pools,
    storage,
    workers,
)

TOPICS = (
    auth,
    account,
    desktops,
    nodes,
    joining,
    guide,
    pools,
    storage,
    alerts,
    bases,
    importing,
    clones,
    operations,
    console,
    pictures,
    first_steps,
    workers,
    audit,
    people,
    people_actions,
    people_table,
    groups,
    offers,
)


def init_app(app: Flask) -> None:
    """Bring the pages, their errors, filters and headers into the application."""
    compression.init_app(app)  # first: what is registered first sees an answer last, when all others had its text
    asked.init_app(app)
    for topic in TOPICS:
        app.register_blueprint(topic.blueprint)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]  as Flask's documentation has it
    login.user_loader(guard.load_user)
    login.unauthorized_handler(guard.ask_to_sign_in)
    app.before_request(guard.note_origin)
    app.before_request(guard.note_moment)
    app.before_request(guard.require_sign_in)
    rq_dashboard.init_app(app)
    filters.init_app(app)
    rendering.init_app(app)
    errors.init_app(app)
    security.init_app(app)
