"""Admin Tools › Workers: the jobs of a queue, to look at; retries belong to operations, not to jobs."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ravada_web.services.operations import queue_jobs
from ravada_web.web import parameters
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done, show

blueprint = Blueprint("jobs", __name__)


@blueprint.get("/workers/jobs/<queue>/<state>")
@needs("operations.see")
def index(queue: str, state: str) -> Response:
    """The jobs of a queue in a state."""
    page = queue_jobs.listing(me(), queue, state, parameters.page())
    return show("jobs/index.html", "jobs/_table.html", page=page, queue=queue, state=state)


@blueprint.get("/workers/jobs/<job_id>")
@needs("operations.see")
def job(job_id: str) -> Response:
    """One job."""
    return show("jobs/job.html", "jobs/_job.html", job=queue_jobs.get(me(), job_id))


@blueprint.get("/ops/rq", strict_slashes=False)
@needs("operations.see")
def former_dashboard() -> ResponseReturnValue:
    """Where rq-dashboard was: its old address leads to what shows the queues now."""
    return done(
        url_for("workers.index"), _("RQ dashboard was removed. This page shows the queues and their jobs."), "info"
    )
