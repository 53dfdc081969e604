"""Admin Tools › Workers: queues, workers, and the links to the nodes."""

from flask import Blueprint, Response
from redis.exceptions import RedisError

from ravada_web.services.nodes import link_states
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.operations import workers
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
    lists = {"nodes": node_list.listing(me()), "links": link_states.read()}
    return show("workers/index.html", "workers/_workers.html", **found, **lists)
