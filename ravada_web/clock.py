"""What time it is, for everybody alike, and how old a moment is.

Processes on several hosts share rows, and their hosts' clocks may disagree by hours. So all moments are the database
server's: each process asks it what time it is when it connects, and counts on by its monotonic clock. On SQLite all
processes are on one host, whose clock it is.

No clock can be trusted never to go back, so nothing is put in order by moments: numbers are for that (a round's, an
attempt's). An age is only for what may be wrong once. A moment in the future was written by a clock that was ahead: how
long ago it really was is not known, and it is never taken for recent.
"""

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, SQLColumnExpression, event
from sqlalchemy.exc import DisconnectionError

# By so much two readings of one clock may differ: asking it takes its time.
SLACK = timedelta(seconds=2)
# By so much a clock may have been ahead of others without what it wrote being worth nothing.
SKEW = timedelta(hours=1)
# Clocks that are set right while a process runs are followed that soon.
ASK_AGAIN_SECONDS = 30.0


class _Server:
    """What the database server said, in seconds since the epoch, and when, by time.monotonic(); None without one."""

    said: tuple[float, float] | None = None


def now() -> datetime:
    """This moment, in UTC."""
    if _Server.said is None:
        return datetime.now(UTC)
    seconds, at = _Server.said
    return datetime.fromtimestamp(seconds + time.monotonic() - at, UTC)


def age(moment: datetime | None) -> timedelta | None:
    """How long ago it was; None where that is not known: it never was, or it is still to come."""
    if moment is None:
        return None
    passed = now() - moment
    return None if passed < -SLACK else max(passed, timedelta())


def is_recent(moment: datetime | None, span: timedelta) -> bool:
    """Whether it is known to be less than so long ago."""
    passed = age(moment)
    return passed is not None and passed < span


def holds(moment: datetime, span: timedelta) -> bool:
    """Whether what began then and holds for so long still does. It may have begun by a clock that was ahead, by SKEW at
    most: nobody loses it for that, and nobody has it for longer than the span and SKEW."""
    return -SKEW <= now() - moment < span


def holds_no_more(column: SQLColumnExpression[Any], span: timedelta) -> ColumnElement[bool]:
    """The contrary of `holds`, of a column."""
    return (column <= now() - span) | (column > now() + SKEW)


def has_come(moment: datetime, pause: timedelta) -> bool:
    """Whether a moment has come that was put off by at most this pause. One that is further off than that was written
    by a clock that was ahead: nobody waits for it."""
    return not timedelta() < moment - now() <= pause + SLACK


def recent(column: SQLColumnExpression[Any], span: timedelta) -> ColumnElement[bool]:
    """As `is_recent`, of a column."""
    return column.between(now() - span, now() + SLACK)


def not_recent(column: SQLColumnExpression[Any], span: timedelta) -> ColumnElement[bool]:
    """Of a column, whether it is so long ago, or not known how long."""
    return column.is_(None) | (column < now() - span) | (column > now() + SLACK)


@event.listens_for(Engine, "connect")
def _ask(connection: Any, _record: Any) -> None:
    """Ask the server what time it is; SQLite has no server."""
    if isinstance(connection, sqlite3.Connection):
        return
    before, connection.autocommit = connection.autocommit, True
    try:
        started = time.monotonic()
        (seconds,) = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
        ended = time.monotonic()
    finally:
        connection.autocommit = before
    _Server.said = (seconds, (started + ended) / 2)


@event.listens_for(Engine, "checkout")
def _ask_again(connection: Any, record: Any, _proxy: Any) -> None:
    """Ask once in a while, so that a process that lives for months keeps to the server's clock."""
    if _Server.said is None or time.monotonic() - _Server.said[1] < ASK_AGAIN_SECONDS:
        return
    try:
        _ask(connection, record)
    except Exception as error:
        raise DisconnectionError from error
