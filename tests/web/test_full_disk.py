"""A full disk of the data folder: pages that read go on, what writes says so, and nothing half-written is left."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import func, select

from ravada_web import create_app
from ravada_web.config import Settings
from ravada_web.errors import CannotRun
from ravada_web.extensions import db, log_kept
from ravada_web.models import Event, Group, Node, Role, UserSession, now
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.support.factories import make_nodes, make_user
from tests.support.installation import Browser


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    if os.geteuid():
        pytest.skip("only root mounts a disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "ravada-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def full_app(disk: Path, empty_database: Path, redis_url: str) -> Iterator[Flask]:
    """The product with its data on that disk, as it runs: some processes keep the database open."""
    shutil.copy(empty_database, disk / "ravada.sqlite")
    app = create_app(Settings(data=disk, redis_url=redis_url, master="ssh"))
    app.test_client_class, app.config["WTF_CSRF_ENABLED"] = Browser, False
    with app.app_context(), ExitStack() as held:
        make_nodes(2)
        held.enter_context(log_kept())
        yield app
        db.session.remove()


def fill(disk: Path) -> Path:
    """Fill it to the last byte; returns the file that does."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return path


def administrator(app: Flask) -> FlaskClient:
    """A browser that was used last some minutes ago."""
    client = app.test_client()
    with client.session_transaction() as session:
        person = make_user("admin", Role.ADMINISTRATOR)
        session["_user_id"], session["_fresh"] = sessions.begin(person, "192.0.2.1", "a test"), True
    with transaction() as rows:
        rows.scalars(select(UserSession)).one().seen_at = now() - timedelta(minutes=5)
    db.session.remove()
    return client


READ = (
    "/",
    "/nodes",
    "/bases",
    "/clones",
    "/operations",
    "/workers",
    "/users",
    "/groups",
    "/audit",
    "/alerts",
)


def test_on_a_full_disk_pages_read_on_and_what_writes_says_so_and_leaves_nothing(full_app: Flask, disk: Path) -> None:
    client = administrator(full_app)
    before = db.session.scalar(select(func.max(Event.id)))
    filler = fill(disk)
    for address in READ:
        g.pop("_login_user", None)
        db.session.remove()
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.text[-500:])
    assert "The disk of the server is" in client.get("/").text
    for address, form in (("/groups/new", {"name": "class"}), ("/nodes/1/disable", {}), ("/login", {"name": "admin"})):
        g.pop("_login_user", None)
        db.session.remove()
        answer = client.post(address, data=form)
        assert answer.status_code in (200, 422, 503), (address, answer.status_code)
        if address != "/login":
            assert "The disk of the server is full" in answer.text, address
    db.session.remove()
    assert db.session.scalars(select(Group)).all() == []
    assert db.session.get_one(Node, 1).service_state == "enabled"
    assert db.session.scalar(select(func.max(Event.id))) == before
    assert db.session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    db.session.remove()
    filler.unlink()
    g.pop("_login_user", None)
    assert client.post("/nodes/1/disable").status_code == 303
    db.session.remove()
    assert db.session.get_one(Node, 1).service_state == "disabled"


def test_a_key_is_there_whole_or_not_at_all(disk: Path) -> None:
    settings = Settings(data=disk, master="ssh")
    settings.make_folders()
    filler = fill(disk)
    with pytest.raises(CannotRun, match="No space left"):
        settings.secret_key()
    filler.unlink()
    assert [path.name for path in disk.iterdir() if "secret" in path.name] == []
    assert len(settings.secret_key()) > 60
    assert settings.secret_key() == settings.secret_key()
