"""The pages: HTTP only. Views load, authorise, validate, make one service call and respond."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from ravada_web.extensions import login
from ravada_web.web import compression, errors, filters, guard, language, parameters, rendering, security
from ravada_web.web.audit import views as audit
from ravada_web.web.bases import importing, offers
from ravada_web.web.bases import views as bases
from ravada_web.web.clones import moving
from ravada_web.web.clones import views as clones
from ravada_web.web.consoles import screenshots
from ravada_web.web.consoles import views as consoles
from ravada_web.web.desktops import views as desktops
from ravada_web.web.finding import views as finding
from ravada_web.web.installation import first_steps
from ravada_web.web.joining import guide
from ravada_web.web.joining import views as joining
from ravada_web.web.monitoring import alerts, standstill
from ravada_web.web.nodes import (
    draining,
    fencing,
    giving_up,
    left,
    maintenance,
    rebalancing,
    replacing,
    reserve,
    schedule,
)
from ravada_web.web.nodes import views as nodes
from ravada_web.web.operations import jobs, probes, workers
from ravada_web.web.operations import views as operations
from ravada_web.web.people import actions as people_actions
from ravada_web.web.people import csv_table as users_table
from ravada_web.web.people import groups
from ravada_web.web.people import selected as people_selected
from ravada_web.web.people import views as people
from ravada_web.web.sign_in import account
from ravada_web.web.sign_in import views as sign_in
from ravada_web.web.storage import pools
from ravada_web.web.storage import views as storage

TOPICS = (
    probes,
    standstill,
    sign_in,
    account,
    desktops,
    nodes,
    fencing,
    joining,
    guide,
    pools,
    storage,
    alerts,
    bases,
    giving_up,
    left,
    rebalancing,
    reserve,
    schedule,
    maintenance,
    draining,
    replacing,
    importing,
    clones,
    moving,
    operations,
    consoles,
    screenshots,
    first_steps,
    finding,
    workers,
    jobs,
    audit,
    people,
    people_actions,
    people_selected,
    users_table,
    groups,
    offers,
)


def init_app(app: Flask) -> None:
    """Bring the pages, their errors, filters and headers into the application."""
    compression.init_app(app)  # first: what is registered first sees an answer last, when all others had its text
    parameters.init_app(app)
    language.init_app(app)
    for topic in TOPICS:
        app.register_blueprint(topic.blueprint)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]  as Flask's documentation has it
    login.user_loader(guard.load_user)
    login.unauthorized_handler(guard.redirect_to_sign_in)
    app.before_request(guard.record_origin)
    app.before_request(guard.record_last_change)
    app.before_request(guard.require_sign_in)
    filters.init_app(app)
    rendering.init_app(app)
    errors.init_app(app)
    security.init_app(app)
