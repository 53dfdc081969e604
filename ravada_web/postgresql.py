"""Connections to PostgreSQL that are not waited for for ever: a server that stands still ends no statement itself."""

from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

from ravada_web import deadlines

# The server ends a statement of ours by itself; where it does not, so much later the connection is given up.
GRACE_SECONDS = 0.3


class Connection(psycopg.Connection[TupleRow]):
    """A connection with the present limits. One that was waited for in vain is closed: its answer may still come."""

    def wait(self, gen: PQGen[Any], *args: Any, **options: Any) -> Any:
        """Returns the answer. Raises psycopg.OperationalError where none comes in time."""
        limits = deadlines.present()
        # Outside of a transaction nothing is asked but whether the server lives.
        seconds = limits.ping if self.autocommit else limits.statement + GRACE_SECONDS
        try:
            return super().wait(gen, *args, **{"timeout": seconds} | options)
        except psycopg.errors._WaitTimeout as error:
            self.close()
            raise psycopg.OperationalError(f"the server did not answer within {seconds:g} s") from error


def connect(*args: Any, **parameters: Any) -> Connection:
    """Returns a new connection. Raises psycopg.OperationalError."""
    limits = deadlines.present()
    connection = Connection.connect(*args, **{"connect_timeout": limits.connect} | parameters)
    _set_limits(connection, limits)
    return connection


def _set_limits(connection: Connection, limits: deadlines.Limits) -> None:
    """Have the server end what takes too long, so that nothing of it goes on there."""
    figures = [f"{round(1000 * seconds)}ms" for seconds in (limits.statement, limits.lock)]
    connection.autocommit = True
    connection.execute(
        "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)", figures
    )
    connection.autocommit = False
