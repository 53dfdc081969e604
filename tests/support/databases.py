"""A pytest plugin: databases of tests' own, copied from templates that the migrations made once a run.

All processes of a parallel run share one folder with the templates and one PostgreSQL server; the first that needs one
makes it. The process that started the run takes both away.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import make_url

from ravada_web import create_app
from ravada_web.config import Settings
from ravada_web.extensions import db, queues
from tests.support.installation import Installation
from tests.support.postgresql import Postgresql, programs

SHARED = pytest.StashKey[Path]()
# Files in memory: a third of what most tests wait for is the disk under their databases.
MEMORY, ROOM_BYTES = Path("/dev/shm"), 2 << 30  # noqa: S108  private folders are made in it
TEMPLATE = "template_of_tests"


def pytest_configure(config: pytest.Config) -> None:
    """Make the shared folder, or take it over from the process that started this one."""
    given = getattr(config, "workerinput", {}).get("shared")
    # Not under pytest's folder, which is closed to the user that PostgreSQL runs as.
    config.stash[SHARED] = Path(given or tempfile.mkdtemp(prefix="ravada-tests-", dir=_memory()))
    config.stash[SHARED].chmod(0o755)


def _memory() -> Path | None:
    """The folder of files in memory, where this host has one with room for all of a run's databases."""
    return MEMORY if MEMORY.is_mount() and shutil.disk_usage(MEMORY).free > ROOM_BYTES else None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the shared folder is."""
    node.workerinput["shared"] = str(node.config.stash[SHARED])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server and remove the folder, once all workers are done."""
    if hasattr(config, "workerinput") or SHARED not in config.stash:
        return
    server = config.stash[SHARED] / "postgresql"
    if server.exists():
        Postgresql(server).stop()
    shutil.rmtree(config.stash[SHARED])


def make_once(path: Path, make: Callable[[Path], None]) -> None:
    """Make what is at that path, unless another process has; whoever comes meanwhile waits."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            make(path)


def migrate(data: Path, database_url: str = "") -> None:
    """Make the tables in an empty database (default: the data folder's SQLite file)."""
    app = create_app(Settings(data=data, redis_url="unix:///nowhere", database_url=database_url))
    with app.app_context():
        upgrade()
        db.session.remove()
        if not database_url:
            with db.engine.connect() as connection:
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.engine.dispose()


def start_server(folder: Path) -> None:
    """Start the run's PostgreSQL, with the template in it."""
    server = Postgresql(folder)
    server.start()
    server.create(TEMPLATE)
    with tempfile.TemporaryDirectory() as data:
        migrate(Path(data), server.url(TEMPLATE))


@pytest.fixture(scope="session")
def empty_database(pytestconfig: pytest.Config) -> Path:
    """A SQLite file with the tables, to copy for each test."""
    folder = pytestconfig.stash[SHARED] / "sqlite"
    make_once(folder, migrate)
    return folder / "ravada.sqlite"


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Postgresql:
    """The run's PostgreSQL; whoever makes a database in it drops it."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    folder = pytestconfig.stash[SHARED] / "postgresql"
    make_once(folder, start_server)
    return Postgresql(folder)


@pytest.fixture(scope="session")
def database_folder(pytestconfig: pytest.Config) -> Path:
    """A folder of this process alone for SQLite files that change, in memory where there is room."""
    return Path(tempfile.mkdtemp(dir=pytestconfig.stash[SHARED]))


@pytest.fixture
def database_file(database_folder: Path) -> Iterator[Path]:
    """The path of a SQLite file that is not there yet."""
    folder = Path(tempfile.mkdtemp(dir=database_folder))
    yield folder / "test.sqlite"
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both kinds of database, one after the other, without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{request.getfixturevalue('database_file')}"
        return
    server, name = request.getfixturevalue("server"), f"t{uuid4().hex}"
    server.create(name)
    yield server.url(name)
    server.drop(name)


@pytest.fixture(scope="session")
def on_postgresql(server: Postgresql, database_folder: Path, redis_socket: Path) -> Iterator[Installation]:
    """As `installation`, with a database of the server, which each test makes and drops."""
    folder = Path(tempfile.mkdtemp(dir=database_folder))
    kept = Installation(folder, f"unix://{redis_socket}", server.url(f"t{uuid4().hex}"))
    yield kept
    kept.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, redis_url: str) -> Iterator[str]:
    """Both kinds of database, one after the other, with the tables."""
    if request.param == "sqlite":
        kept: Installation = request.getfixturevalue("installation")
        yield kept.reset(request.getfixturevalue("empty_database")).database_url
        return
    kept, server = request.getfixturevalue("on_postgresql"), request.getfixturevalue("server")
    url = kept.reset(None).database_url
    name = make_url(url).database
    server.copy(name, TEMPLATE)
    yield url
    server.drop(name)


@pytest.fixture
def migrated_app(request: pytest.FixtureRequest, database_url: str) -> Iterator[Flask]:
    """The application on both kinds of database, its tables made, its context pushed."""
    kept = request.getfixturevalue("installation" if database_url.startswith("sqlite") else "on_postgresql")
    app: Flask = kept.application()
    # Errors are answered as they are where nobody tests.
    app.config["TESTING"] = False
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
        queues.redis.close()
