"""The migrations: up, down and up again, on SQLite and on PostgreSQL; and the models say the same as they do."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import inspect, select

from ravada_web import create_app
from ravada_web.config import Settings
from ravada_web.extensions import db
from ravada_web.models import Lock
from ravada_web.services.clone_requests import Request, request
from ravada_web.services.users import create
from tests.factories import make_base, make_nodes
from tests.servers import postgresql, postgresql_programs


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    if postgresql_programs() is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    # Not under pytest's folder, which is closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="ravada-pg-"))
    with postgresql(folder) as url:
        yield url
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        return url
    return f"sqlite:///{tmp_path / 'test.sqlite'}"


def test_up_down_and_up_again(database_url: str, tmp_path: Path, redis_socket: Path) -> None:
    app = create_app(Settings(data=tmp_path / "d", database_url=database_url, redis_url=f"unix://{redis_socket}"))
    with app.app_context():
        upgrade()
        check()
        assert {"nodes", "clones", "operations"} <= set(inspect(db.engine).get_table_names())
        downgrade(revision="base")
        assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
        upgrade()
        assert db.session.scalars(select(Lock.name)).all() == ["placement"]
        db.session.remove()
        downgrade(revision="base")
        db.engine.dispose()


def test_placing_works_on_both(database_url: str, tmp_path: Path, redis_socket: Path) -> None:
    app = create_app(Settings(data=tmp_path / "d", database_url=database_url, redis_url=f"unix://{redis_socket}"))
    with app.app_context():
        upgrade()
        administrator, _password = create(None, "root", "administrator")
        decision = request(administrator, Request(make_base(make_nodes(3)), 6, "pg", administrator.name))
        assert [verdict["taken"] for verdict in decision.verdicts["verdicts"]] == [2, 2, 2]
        db.session.remove()
        downgrade(revision="base")
        db.engine.dispose()
