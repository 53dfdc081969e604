"""Admin Tools › Workers: queues, workers, and the links to the nodes."""

from flask import Blueprint, Response
from redis.exceptions import RedisError

from ravada_web.services import link_states, nodes, workers
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import show

blueprint = Blueprint("workers", __name__, url_prefix="/workers")


@blueprint.get("")
@needs("operations.see")
def index() -> Response:
    try:
        rows = workers.listing()
        found = {"rows": rows, "queues": workers.queue_rows(rows)}
    except RedisError:
        found = {"rows": [], "queues": []}
    lists = {"nodes": nodes.listing(me()), "links": link_states.read()}
    return show("workers/index.html", "workers/_workers.html", **found, **lists)
