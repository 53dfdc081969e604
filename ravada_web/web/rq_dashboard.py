"""rq-dashboard under /ops/rq, read-only: retries belong to operations, not to jobs."""

import rq_dashboard
from flask import Flask, Response, abort, current_app, request
from flask_babel import gettext as _
from markupsafe import Markup
from rq.serializers import JSONSerializer
from rq_dashboard import web as dashboard

from ravada_web.extensions import queues
from ravada_web.services.permissions import rights, scopes
from ravada_web.web.guard import me

PREFIX = "/ops/rq"
# It comes with inline script and builds functions of text (jQuery 3.5, Underscore): allowed here and nowhere else.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self' data:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# What it has for looking. All else, its requeueing by GET above all, is not reached.
LOOKS = {
    "rq_dashboard.queues_overview",
    "rq_dashboard.workers_overview",
    "rq_dashboard.jobs_overview",
    "rq_dashboard.job_view",
    "rq_dashboard.list_queues",
    "rq_dashboard.list_jobs",
    "rq_dashboard.list_workers",
    "rq_dashboard.job_info",
    "rq_dashboard.static",
}


def init_app(app: Flask) -> None:
    """Mount it, behind a guard of its own."""
    app.config["RQ_DASHBOARD_REDIS_URL"] = (app.config["REDIS_URL"],)
    app.config["RQ_DASHBOARD_DISABLE_DELETE"] = True
    dashboard.config.serializer = JSONSerializer
    app.redis_conn = queues.redis  # type: ignore[attr-defined]  where it looks for its connection
    app.before_request(_guard)
    app.after_request(_lead_back)
    app.register_blueprint(rq_dashboard.blueprint, url_prefix=PREFIX)


def _is_ours() -> bool:
    return request.path == PREFIX or request.path.startswith(f"{PREFIX}/")


def _guard() -> None:
    """Read-only, for operators without a limited scope."""
    if not _is_ours():
        return
    rights.require(me(), "operations.see")
    if scopes.of(me()) is not None or request.method not in ("GET", "HEAD"):
        abort(403, _("Only users who may see all operations can view jobs."))
    if request.endpoint is not None and request.endpoint not in LOOKS:
        abort(403, _("This view is read-only. Retry and cancel on the Operations page."))
    current_app.redis_conn = queues.redis  # type: ignore[attr-defined]


def _lead_back(answer: Response) -> Response:
    """A line on top of its pages that leads back to the operations."""
    if _is_ours() and answer.status_code == 200 and answer.mimetype == "text/html":
        line = Markup('<p style="padding:.5rem 1rem;margin:0"><a href="/operations">← {}</a> · {}</p>').format(
            _("Operations"), _("Read-only view of the job queue.")
        )
        answer.set_data(answer.get_data(as_text=True).replace("<body>", f"<body>{line}", 1))
    return answer
