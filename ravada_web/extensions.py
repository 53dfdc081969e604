"""The Flask extensions, made once and bound to the application by the factory; and what the database needs set."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from flask import Flask, has_request_context
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from redis import Redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from sqlalchemy import Connection, Dialect, Engine, MetaData, event
from sqlalchemy.orm import DeclarativeBase

from ravada_web import addresses, deadlines
from ravada_web.translations import Catalogues

WRITE = "ravada_write"
# Made once: else every connection reads the client's version from its package, 2 ms and 2 MiB in each process.
DRIVER = DriverInfo()


class Model(DeclarativeBase):
    """The base of all tables; constraints have names, so that migrations can alter them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Model)
migrate = Migrate(db=db, render_as_batch=True)
login = LoginManager()
csrf = CSRFProtect()
babel = Babel()
babel.domain_instance = Catalogues()
limiter = Limiter(key_func=lambda: addresses.counted(get_remote_address()))


class Queues:
    """The connections to Redis, shared by the queue, the ticker's lock and the rate limits: one for pages, which wait
    for a moment alone, and one for all else."""

    _pages: Redis
    _patient: Redis

    def __init__(self) -> None:
        self._breaker = deadlines.Breaker()

    @property
    def redis(self) -> Redis:
        """The one for what is done now."""
        return self._pages if has_request_context() else self._patient

    def init_app(self, app: Flask) -> None:
        """Bind to the Redis of the application; what counts attempts to sign in waits like a page."""
        self.connect(app.config["REDIS_URL"])
        app.config["RATELIMIT_STORAGE_OPTIONS"] = _options(deadlines.PAGES, self._breaker)

    def connect(self, url: str) -> None:
        """Use this Redis. A lost connection is reopened once, immediately: a page must not wait for an absent Redis."""
        self._breaker.reset()
        self._pages = Redis.from_url(url, **_options(deadlines.PAGES, self._breaker))
        once = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        self._patient = Redis.from_url(url, **_options(deadlines.OTHERS, once))

    def close(self) -> None:
        """Close all connections; they open again where they are needed."""
        self._pages.close()
        self._patient.close()

    def wait_for_restarts(self) -> None:
        """From now on, in this process, try a lost connection again for 10 s: work is not given up for a restart."""
        self._patient.set_retry(Retry(ConstantBackoff(0.1), 100, supported_errors=(RedisConnectionError,)))


def _options(limits: deadlines.Limits, retry: Retry) -> dict[str, Any]:
    """How a client of Redis waits."""
    timeouts = {"socket_timeout": limits.redis, "socket_connect_timeout": min(limits.redis, 2.0)}
    return {**timeouts, "retry": retry, "driver_info": DRIVER}


queues = Queues()


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """SQLite as we use it: we begin transactions ourselves, readers never block the writer, foreign keys hold, and what
    replaces a row fires the triggers of a deletion."""
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.isolation_level = None
    wait = f"busy_timeout={round(1000 * deadlines.present().lock)}"
    for pragma in (wait, "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "recursive_triggers=ON"):
        connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Engine, "do_connect")
def _connect_to_postgresql(dialect: Dialect, _record: Any, args: Any, parameters: Any) -> Any:
    """PostgreSQL with our deadlines; other databases as SQLAlchemy connects to them."""
    if dialect.driver != "psycopg":
        return None
    from ravada_web import postgresql  # only where it is used: it takes megabytes

    return postgresql.connect(*args, **parameters)


@contextmanager
def log_kept() -> Iterator[None]:
    """Keep SQLite's write-ahead log through the block: when its last connection closes, SQLite moves the log into the
    database and waits for the disk, 15 ms after each transaction of ours, which all have connections of their own.
    On a full disk the log could not be begun again, and nothing be read without it: so two processes keep it."""
    with ExitStack() as held:
        if db.engine.dialect.name == "sqlite":
            with suppress(sqlite3.Error):  # a database that is away now only makes it slower
                held.callback(db.engine.raw_connection().close)
        yield


@event.listens_for(Engine, "begin")
def _begin(connection: Connection) -> None:
    """Write transactions take SQLite's one write lock at their start: a later upgrade could not wait for it."""
    if connection.dialect.name == "sqlite":
        writes = connection.get_execution_options().get(WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
