"""No secret that is given to the product is on a command line or in its log, also when all that they are for fails."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import click
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from sqlalchemy import select

from ravada_web import create_app
from ravada_web.cli import joining
from ravada_web.config import Settings, read_settings
from ravada_web.extensions import db, queues
from ravada_web.models import User
from ravada_web.services.monitoring import notifications
from tests.jobs.test_parent import Product, running, up
from tests.support.cluster import ROOT, free_port
from tests.support.databases import TEMPLATE
from tests.support.postgresql import Postgresql
from tests.support.processes import tree
from tests.support.servers import redis_server, wait_until

SMTP, HOOK, SIGNATURE, REDIS, DATABASE = (f"very-secret-{name}-{uuid4().hex}" for name in "mhsrd")


@pytest.fixture
def product(tmp_path: Path, server: Postgresql, monkeypatch: pytest.MonkeyPatch) -> Iterator[Product]:
    """The product, with every setting that is a secret; its mail server and webhook are not there."""
    database, socket = f"t{uuid4().hex}", tmp_path / "redis.sock"
    given = {
        "DATA": str(tmp_path / "data"),
        "MASTER": "ssh",
        "PORT": str(free_port()),
        "DATABASE_URL": server.url(database).replace("@/", f":{DATABASE}@/"),
        "REDIS_URL": f"unix://:{REDIS}@{socket}",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(free_port()),
        "SMTP_USER": "ravada",
        "SMTP_PASSWORD": SMTP,
        "MAIL_TO": '["admin@example.org"]',
        "ALERT_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/hooks/{HOOK}?key={HOOK}",
        "ALERT_WEBHOOK_SECRET": SIGNATURE,
    }
    for name, value in given.items():
        monkeypatch.setenv(f"RAVADA_{name}", value)
    server.copy(database, TEMPLATE)
    with redis_server(socket):
        with somebody(socket) as redis:
            redis.config_set("requirepass", REDIS)
        socket.chmod(0o777)  # the processes are users of their own
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(up(), cwd=ROOT, stdout=log, stderr=log)
        yield from running(Product(read_settings(), process, tmp_path / "log", []))
    server.drop(database)


@contextmanager
def somebody(socket: Path) -> Iterator[Redis]:
    """The Redis, as somebody whom no password of the product's concerns."""
    with Redis(unix_socket_path=str(socket)) as anybody, suppress(AuthenticationError):
        anybody.execute_command("ACL", "SETUSER", "tester", "on", "nopass", "~*", "&*", "+@all")
    with Redis(unix_socket_path=str(socket), username="tester", password="any") as redis:
        yield redis


def command_lines(pid: int) -> bytes:
    """Those of all its processes."""
    found = b""
    for each in tree(pid):
        try:
            found += Path(f"/proc/{each}/cmdline").read_bytes() + b"\n"
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def send_test_message(settings: Settings) -> None:
    app = create_app(settings)
    with app.app_context():
        notifications.request_test(db.session.scalars(select(User)).one())
        db.session.remove()
        db.engine.dispose()
        queues.close()


def test_no_secret_is_on_a_command_line_or_in_the_log(product: Product, tmp_path: Path) -> None:
    signing = (product.settings.data / "secret_key").read_text()
    lines = command_lines(product.process.pid)
    send_test_message(product.settings)
    for channel in (b"channel=mail", b"channel=webhook"):
        wait_until(lambda channel=channel: channel in product.log.read_bytes(), 60, "the channel has failed")
    lines += command_lines(product.process.pid)
    with somebody(tmp_path / "redis.sock") as redis:
        redis.config_set("requirepass", "another")
        redis.client_kill_filter(_type="normal", skipme=True)
    wait_until(lambda: b"invalid username-password" in product.log.read_bytes(), 60, "Redis refuses the product")
    lines += command_lines(product.process.pid)
    assert b"ravada: web" in lines
    for secret in (SMTP, HOOK, SIGNATURE, REDIS, DATABASE, signing):
        assert len(secret) > 30 and secret.encode() not in lines + product.log.read_bytes()


def commands(group: click.Group, path: str = "flask") -> Iterator[tuple[str, click.Command]]:
    """All of our commands, by what one types."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_no_command_takes_a_secret_as_an_argument(tmp_path: Path) -> None:
    app = create_app(Settings(data=tmp_path, redis_url="unix:///nowhere"))
    found = dict(commands(app.cli))
    assert "flask users create" in found
    words = ("password", "secret", "token", "passw", "key")
    taken = [
        f"{name} {each.name}"
        for name, command in found.items()
        for each in command.params
        if any(word in (each.name or "") for word in words) and not getattr(each, "is_flag", False)
    ]
    assert not taken


def test_a_password_that_is_asked_for_is_shown_nowhere() -> None:
    assert "hunter2" not in repr(joining.Options(False, False, "hunter2"))
