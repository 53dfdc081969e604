"""Admin Tools › Workers: queues, workers, and the links to the nodes."""

from flask import Blueprint, Response

from ravada_web.services.nodes import link_states
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.operations import queue_jobs, workers
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import show

blueprint = Blueprint("workers", __name__, url_prefix="/workers")


@blueprint.get("")
@needs("operations.see")
def index() -> Response:
    """The workers and their queues."""
    links = {"nodes": node_list.listing(me()), "links": link_states.read()}
    shown = {"counts": queue_jobs.counts(), "sees_jobs": queue_jobs.may_see(me())}
    return show("workers/index.html", "workers/_workers.html", **vars(workers.overview()), **links, **shown)
