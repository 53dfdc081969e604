"""Whether requested work would be done now: the database, its tables, the queue, and a worker on each queue."""

import time
from collections.abc import Iterator

import structlog
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from ravada_web.services import schema
from ravada_web.services.operations import workers

log = structlog.get_logger()
# Open to all, so it is checked at most this often.
KEPT_SECONDS = 1.0
_KEY = "ravada_readiness"


def is_ready() -> bool:
    """Returns whether all is there, as it was at most a second ago; what is missing goes to the log alone."""
    at, ready = current_app.extensions.get(_KEY, (-KEPT_SECONDS, False))
    if time.monotonic() - at >= KEPT_SECONDS:
        missing = [*_missing_of_database(), *_missing_of_queue()]
        if missing:
            log.warning("not ready", missing=missing)
        ready = not missing
        current_app.extensions[_KEY] = (time.monotonic(), ready)
    return ready


def _missing_of_database() -> Iterator[str]:
    try:
        if not schema.is_newest():
            yield "migrations"
    except SQLAlchemyError as error:
        yield f"database: {error}"


def _missing_of_queue() -> Iterator[str]:
    try:
        rows = workers.queue_rows(workers.listing())
    except RedisError as error:
        yield f"redis: {error}"
        return
    yield from (f"worker of {row.name}" for row in rows if row.unserved)
