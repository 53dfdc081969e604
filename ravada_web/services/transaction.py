"""The one way to write: a transaction that holds the database's write lock from its start; and locks for choosing."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from ravada_web.errors import DatabaseBusy
from ravada_web.extensions import WRITE, db
from ravada_web.messages import message
from ravada_web.models import Lock

_WRITING = "ravada_writing"


@contextmanager
def transaction() -> Iterator[Session]:
    """Write inside the block; commit at its end, roll back on any exception. Inside another one it joins that one.

    A read transaction that is under way ends first: what was loaded before is read again, so that what is
    decided inside is decided on what stands now. Raises DatabaseBusy when SQLite's lock is not to be had
    within its 10 s of retries.
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
    except OperationalError as error:
        session.rollback()
        if "locked" in str(error.orig):
            raise DatabaseBusy(message("general.database_busy")) from error
        raise
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop(_WRITING, None)


def is_writing() -> bool:
    """Whether a transaction of this kind is under way here."""
    return bool(db.session().info.get(_WRITING))


def read_again() -> None:
    """End the present read transaction: what is read from now on is as it stands by then. For what waits."""
    db.session.rollback()


def hold_lock(session: Session, name: str) -> None:
    """Make choices of one kind serial until the transaction's end (SQLite's write lock does so already)."""
    if session.get_bind().dialect.name != "sqlite":
        session.execute(select(Lock).where(Lock.name == name).with_for_update()).scalar_one()
