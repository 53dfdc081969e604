"""Probes for load balancers and monitoring, open to all: they answer yes or no."""

from flask import Blueprint, Response

from ravada_web.services.operations import readiness
from ravada_web.web.guard import open_to_all

blueprint = Blueprint("probes", __name__)


@blueprint.get("/healthz")
@open_to_all
def alive() -> Response:
    """Whether this process serves."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
@open_to_all
def ready() -> Response:
    """Whether requested work would be done."""
    if readiness.is_ready():
        return Response("ok\n", mimetype="text/plain")
    return Response("not ready\n", 503, mimetype="text/plain")
