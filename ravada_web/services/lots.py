"""Rows that are written together and do not stop each other: a lot in one transaction, and where that fails smaller
ones, down to the row that is to blame."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from ravada_web.errors import RowsLocked
from ravada_web.guard import is_everybodys, words_of
from ravada_web.messages import Message, MessageError
from ravada_web.services.transaction import transaction

log = structlog.get_logger()
Row = TypeVar("Row")
Write = Callable[[Session, Sequence[Row]], object]
# So long a lot waits for rows that others have locked; and so often one row is tried before it is left for later.
LOCK_SECONDS, TRIES = 1.0, 3


def write_lot(rows: Sequence[Row], write: Write[Row], failed: Callable[[Row, Message], object]) -> None:
    """Write these in one transaction, or in several where one row does not let the others be written.

    `failed` is called for each that cannot be, with the reason, when its own transaction is over. One that others keep
    locked is left out, for whoever writes next. Raises what is everybody's.
    """
    if not rows:
        return
    try:
        why = _tried(rows, write)
    except RowsLocked:
        _write_each(rows, write, failed)
        return
    if why is not None and len(rows) == 1:
        failed(rows[0], why)
    elif why is not None:
        middle = len(rows) // 2
        write_lot(rows[:middle], write, failed)
        write_lot(rows[middle:], write, failed)


def _tried(rows: Sequence[Row], write: Write[Row]) -> Message | None:
    """Write these; returns why that is not possible, None where it is done. Raises RowsLocked, and what is
    everybody's."""
    try:
        _write(rows, write)
    except RowsLocked:
        raise
    except Exception as error:
        if is_everybodys(error):
            raise
        if len(rows) == 1 and not isinstance(error, MessageError):
            log.warning("a row cannot be written, the others are", row=repr(rows[0])[:200], exc_info=True)
        return words_of(error)
    return None


def _write(rows: Sequence[Row], write: Write[Row]) -> None:
    with transaction() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text(f"SET LOCAL lock_timeout = '{round(1000 * LOCK_SECONDS)}ms'"))
        write(session, rows)


def _write_each(rows: Sequence[Row], write: Write[Row], failed: Callable[[Row, Message], object]) -> None:
    """Each by itself, those first that nobody keeps locked."""
    left = list(rows)
    for _try in range(TRIES):
        left = [row for row in left if not _written(row, write, failed)]
        if not left:
            return
    log.warning("rows that others keep locked are left for the next time", rows=len(left))


def _written(row: Row, write: Write[Row], failed: Callable[[Row, Message], object]) -> bool:
    """Write one, or say why not; False where others have it locked."""
    try:
        if (why := _tried([row], write)) is not None:
            failed(row, why)
    except RowsLocked:
        return False
    return True
