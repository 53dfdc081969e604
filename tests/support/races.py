"""Two at once on PostgreSQL: what one does while a transaction of the other is under way."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from flask import Flask, current_app
from sqlalchemy import text

from ravada_web.extensions import db
from ravada_web.services.transaction import transaction
from tests.support.servers import wait_until

Result = TypeVar("Result")


@contextmanager
def while_under_way(act: Callable[[], Result]) -> Iterator[Callable[[], Result]]:
    """A transaction in which the block acts, and which is committed once somebody else has come so far with `act` that
    it waits for it, or is done.

    Yields what returns, or raises, afterwards what came of it.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def other() -> Result:
        with app.app_context():
            try:
                return act()
            finally:
                db.session.remove()

    with ThreadPoolExecutor(1) as thread, transaction():
        begun: list[Future[Result]] = []
        yield lambda: begun[0].result(timeout=60)
        db.session.flush()
        begun.append(thread.submit(other))
        wait_until(lambda: begun[0].done() or somebody_waits(), 30, "the other is done, or waits for us")


def somebody_waits() -> bool:
    """Whether a session of this database waits for a lock of another one; asked on a connection of its own."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with db.engine.connect() as connection:
        return bool(connection.execute(text(query)).scalar())
