"""Runs the migrations on the application's database, in one transaction."""

from alembic import context
from flask import current_app

from ravada_web.extensions import WRITE
from ravada_web.models.types import UtcDateTime

database = current_app.extensions["migrate"].db


def plain_type(kind: str, item: object, _context: object) -> str | bool:
    """Write our own column types as the plain ones that they are in the database."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    """Bring the database to the wanted revision."""
    with database.engine.connect().execution_options(**{WRITE: True}) as connection:
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
