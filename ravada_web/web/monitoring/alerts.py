"""Admin Tools › Alerts: active alerts, past ones, and who is notified."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.services.monitoring import listing as alert_list
from ravada_web.services.monitoring import notifications
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("alerts", __name__, url_prefix="/alerts")


@blueprint.get("")
@needs("nodes.see")
def index() -> Response:
    """What is wrong now, what was, and who is notified."""
    return show("alerts/index.html", "alerts/_alerts.html", **vars(alert_list.alerts_page(me())))


@blueprint.get("/banner")
@needs("nodes.see")
def banner() -> Response:
    """The line at the top of every page, fetched again as nodes change."""
    return show("alerts/_banner.html", "alerts/_banner.html")


@blueprint.post("/test")
@needs("nodes.change")
def test() -> ResponseReturnValue:
    """Send a test message."""
    notifications.request_test(me())
    return done(url_for("alerts.index"), _("Test message queued. The result appears here."))
