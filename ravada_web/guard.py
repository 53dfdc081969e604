"""One row never stops a loop over rows: what goes wrong with one is that row's own, and the others go on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from redis.exceptions import RedisError, ResponseError
from sqlalchemy.exc import OperationalError

from ravada_web.errors import DatabaseBusy, RowsLocked
from ravada_web.messages import Message, MessageError, message
from ravada_web.messages.foreign import printable

log = structlog.get_logger()
# Where the database or Redis is away, no row is to blame: that is everybody's, and ends the loop.
EVERYBODYS: tuple[type[Exception], ...] = (RedisError, OperationalError, DatabaseBusy)
# PostgreSQL's classes of what is about the rows at hand alone: two that wait for each other, a value beyond a limit, an
# object in use.
_OF_ROWS = ("40", "54", "55")


def is_everybodys(error: Exception) -> bool:
    """Whether no row is to blame, but what all of them need."""
    if isinstance(error, ResponseError) and "WRONGTYPE" in str(error):
        return False  # a key of Redis that somebody has made something else of
    code = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, EVERYBODYS) and not isinstance(error, RowsLocked) and code[:2] not in _OF_ROWS


def words_of(error: Exception) -> Message:
    """What an exception says: an error of ours its own message, any other its type and text."""
    if isinstance(error, MessageError):
        return error.message
    # The database's own words, without the statement and where its documentation is.
    return message("general.unexpected", error=printable(repr(getattr(error, "orig", None) or error)))


@contextmanager
def guarded(
    failed: Callable[[Message], object], everybodys: tuple[type[Exception], ...] = (), **row: object
) -> Iterator[None]:
    """Do one row's part of a loop: an exception is given to `failed` in words, to become that row's own state.

    `row` names it in the log, where what nobody foresaw is written with its traceback. Raises what is everybody's:
    what `is_everybodys`, and in this loop `everybodys` too.
    """
    try:
        yield
    except everybodys:
        raise
    except Exception as error:
        if is_everybodys(error):
            raise
        if not isinstance(error, MessageError):
            log.warning("a row failed, the others go on", **row, exc_info=True)
        failed(words_of(error))
