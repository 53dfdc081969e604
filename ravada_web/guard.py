"""One row never stops a loop over rows: what goes wrong with one is that row's own, and the others go on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError

from ravada_web.errors import DatabaseBusy
from ravada_web.messages import Message, MessageError, message
from ravada_web.messages.foreign import printable

log = structlog.get_logger()
# Where the database or Redis is away, no row is to blame: that is everybody's, and ends the loop.
EVERYBODYS: tuple[type[Exception], ...] = (RedisError, OperationalError, DatabaseBusy)


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
    EVERYBODYS, and in this loop `everybodys` too.
    """
    shared: tuple[type[Exception], ...] = EVERYBODYS + everybodys
    try:
        yield
    except shared:
        raise
    except Exception as error:
        if not isinstance(error, MessageError):
            log.warning("a row failed, the others go on", **row, exc_info=True)
        failed(words_of(error))
