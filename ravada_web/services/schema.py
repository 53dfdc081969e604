"""Which revision the database's tables are of, and which ones this version's code knows."""

from functools import cache

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app

from ravada_web.errors import CannotRun
from ravada_web.extensions import db


def is_newest() -> bool:
    """Whether the tables are as this version wants them. Raises SQLAlchemyError."""
    return _applied() == set(_scripts().get_heads())


def require_known() -> None:
    """Raise CannotRun for a database that a newer version has written."""
    unknown = _applied() - {script.revision for script in _scripts().walk_revisions()}
    if unknown:
        raise CannotRun(
            f"The database is newer than this version of Ravada Web (revision {', '.join(sorted(unknown))}). "
            "Start the version that it was last used with, or a newer one."
        )


def _applied() -> set[str]:
    with db.engine.connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads())


@cache
def _scripts() -> ScriptDirectory:
    """The revisions' files, which do not change while we run."""
    return ScriptDirectory.from_config(current_app.extensions["migrate"].migrate.get_config())
