"""The one way to write: a transaction that holds the database's write lock from its start; and locks for choosing."""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import DatabaseBusy, DatabaseFull, RowsLocked
from ravada_web.extensions import WRITE, db
from ravada_web.messages import message
from ravada_web.models import Lock

log = structlog.get_logger()
_WRITING = "ravada_writing"
# What SQLite says where its files cannot grow: full, or a file of its own that could not be made or written.
SQLITE_FULL, SQLITE_NO_FILE = (sqlite3.SQLITE_FULL,), (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
# With fewer bytes than that it cannot: its files grow by pages, and by 32 KiB.
ROOM = 64 * 1024
# PostgreSQL's codes: the disk is full; a statement was not done in time; a lock was not to be had in time, or two
# waited for each other, or for the same rows in an order that cannot be.
POSTGRESQL_FULL, POSTGRESQL_BUSY, POSTGRESQL_LOCKED = ("53100",), ("57014",), ("55P03", "40P01", "40001")


@contextmanager
def transaction() -> Iterator[Session]:
    """Write inside the block; commit at its end, roll back on any exception. Inside another one it joins that one.

    A read transaction that is under way ends first: what was loaded before is read again, so that what is
    decided inside is decided on what stands now. Raises RowsLocked when a lock is not to be had in time (`deadlines`),
    DatabaseBusy where that is the whole database's, DatabaseFull when its disk is full.
    """
    session = db.session()
    if session.info.get(_WRITING):
        yield session
        return
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("rows were changed outside of a transaction")
    session.rollback()
    session.info[_WRITING] = True
    try:
        session.connection(execution_options={WRITE: True})
        yield session
        session.commit()
    except DBAPIError as error:
        session.rollback()
        if refused := refusal(error):
            raise refused from error
        raise
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop(_WRITING, None)


def refusal(error: SQLAlchemyError) -> DatabaseBusy | None:
    """What the database's error is to its reader: that it is busy, or its disk full; None for all others."""
    said = error.orig if isinstance(error, DBAPIError) else None
    code = getattr(said, "sqlstate", None)
    if code in POSTGRESQL_FULL or (isinstance(said, sqlite3.Error) and _is_full(said)):
        return DatabaseFull(message("general.disk_full"))
    if code in POSTGRESQL_LOCKED:
        return RowsLocked(message("general.database_busy"))
    if code in POSTGRESQL_BUSY or "locked" in str(said):
        return DatabaseBusy(message("general.database_busy"))
    return None


def _is_full(error: sqlite3.Error) -> bool:
    """Whether SQLite's disk is full. Of a file that it could not make or write it does not say why."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in SQLITE_NO_FILE:
        disk = os.statvfs(settings().data)
        return disk.f_bavail * disk.f_frsize < ROOM
    return code in SQLITE_FULL


def note(write: Callable[[Session], object]) -> None:
    """Write what is only a note, such as when a session was last used: where the database cannot take it, it is left
    out, and what it was about goes on."""
    try:
        with transaction() as session:
            write(session)
    except (SQLAlchemyError, DatabaseBusy) as error:
        # Not in words: the reader whose language they would be in may just be being loaded.
        log.warning("a note was not written", error=repr(getattr(error.__cause__ or error, "orig", error)))


def is_writing() -> bool:
    """Whether a transaction of this kind is under way here."""
    return bool(db.session().info.get(_WRITING))


def read_again() -> None:
    """End the present read transaction: what is read from now on is as it stands by then. For what waits."""
    db.session.rollback()


# Locks are taken in one order, by whoever needs several: that of a choice, operations, nodes, clones and replicas, each
# by their numbers; and last, in the commit, the end of the audit log's chain (services.audit.chain).
def hold_lock(session: Session, name: str) -> None:
    """Make choices of one kind serial until the transaction's end (SQLite's write lock does so already)."""
    if session.get_bind().dialect.name != "sqlite":
        session.execute(select(Lock).where(Lock.name == name).with_for_update()).scalar_one()


def hold_rows(session: Session, table: type[Any], ids: Collection[int]) -> None:
    """Keep rows as they are until the transaction's end, for what is decided on them (SQLite's write lock does so
    already). They are locked in one order, so that two who want the same ones wait for each other in turn."""
    if session.get_bind().dialect.name != "sqlite":
        session.execute(select(table.id).where(table.id.in_(ids)).order_by(table.id).with_for_update(key_share=True))
