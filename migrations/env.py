"""Runs the migrations on the application's database, in one transaction."""

import sqlite3

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from ravada_web.extensions import WRITE
from ravada_web.models.types import UtcDateTime

database = current_app.extensions["migrate"].db


def plain_type(kind: str, item: object, _context: object) -> str | bool:
    """Write our own column types as the plain ones that they are in the database."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def _suspend_foreign_keys(connection: Connection) -> None:
    """SQLite alters a table by making it anew; dropping the old one would delete the rows that refer to its rows.

    Said to the driver itself: inside a transaction SQLite ignores it.
    """
    plain = connection.connection.dbapi_connection
    if isinstance(plain, sqlite3.Connection):
        plain.execute("PRAGMA foreign_keys=OFF")


def run() -> None:
    """Bring the database to the wanted revision."""
    with database.engine.connect().execution_options(**{WRITE: True}) as connection:
        _suspend_foreign_keys(connection)
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            render_as_batch=True,
            compare_type=True,
            render_item=plain_type,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
