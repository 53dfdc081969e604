"""docs/production.md's Redis for other hosts: with its configuration all that the product asks of Redis is allowed, by
TLS, as its user; and nothing is to others."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from limits import parse
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.serializers import JSONSerializer

from jobs.ticker import Ticker
from jobs.worker import DesktopWorker
from ravada_web import create_app
from ravada_web.config import Settings
from ravada_web.extensions import db, limiter, queues
from ravada_web.services import changes
from ravada_web.services.operations import outbox
from ravada_web.services.operations.sweep import Sweep
from ravada_web.services.operations.workers import overview
from tests.docs import markdown
from tests.support.certificates import make_certificate
from tests.support.cluster import free_port
from tests.support.factories import make_nodes
from tests.support.servers import wait_until

PASSWORD = "a-password-of-the-test"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of such a Redis."""
    page = (markdown.ROOT / "docs" / "production.md").read_text()
    (wanted,) = re.findall(r"```ini\n(port 0\n.*?)```", page, re.DOTALL)
    certificate, key = make_certificate(tmp_path, "127.0.0.1")
    port = free_port()
    changed = {"6380": str(port), "/etc/redis/redis.crt": str(certificate), "/etc/redis/redis.key": str(key)}
    for before, after in (changed | {"PASSWORD": PASSWORD}).items():
        wanted = wanted.replace(before, after)
    (tmp_path / "redis.conf").write_text(f'{wanted}bind 127.0.0.1\nsave ""\ndir {tmp_path}\n')
    process = subprocess.Popen(["redis-server", tmp_path / "redis.conf"], stdout=subprocess.DEVNULL)
    address = f"rediss://ravada:{PASSWORD}@127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    try:
        wait_until(lambda: answers(address), 30, "Redis answers")
        yield address
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        with Redis.from_url(url) as redis:
            return bool(redis.ping())
    except RedisConnectionError:
        return False


@pytest.fixture
def app_there(url: str, tmp_path: Path) -> Iterator[Flask]:
    """The product on it."""
    app = create_app(Settings(data=tmp_path / "data", redis_url=url, master="ssh"))
    with app.app_context():
        upgrade()
        yield app
        db.session.remove()
        queues.redis.close()


def test_the_product_works_with_it(app_there: Flask) -> None:
    make_nodes(1)
    job = outbox.queue("default").enqueue("jobs.nodes.thin")
    limited = outbox.queue("default").enqueue("os.system", "true")
    worker = DesktopWorker(["default"], connection=queues.redis, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="WARNING")
    assert (job.get_status(), limited.get_status()) == ("finished", "failed")
    ticker = Ticker(app_there.extensions["settings"])
    ticker.tick()
    assert outbox.queue("checks").count == 1
    ticker.release()
    assert Sweep().run() == 0
    assert [row.waiting for row in overview().queues if row.name == "checks"] == [1]
    changes.publish(["nodes"])
    assert changes.latest() > 0
    assert limiter.limiter.hit(parse("1 per minute"), "x") and not limiter.limiter.hit(parse("1 per minute"), "x")


def test_others_are_let_do_nothing(url: str) -> None:
    for others in (url.replace(PASSWORD, "guessed"), url.replace(f"ravada:{PASSWORD}@", "")):
        with Redis.from_url(others) as redis, pytest.raises(AuthenticationError):
            redis.ping()
    plain = url.replace("rediss:", "redis:").partition("?")[0]
    with Redis.from_url(plain) as redis, pytest.raises(RedisConnectionError):
        redis.ping()
    with Redis.from_url(url.partition("?")[0]) as redis, pytest.raises(RedisConnectionError, match="CERTIFICATE"):
        redis.ping()
    with Redis.from_url(url) as redis:
        for refused in (["CONFIG", "GET", "*"], ["FLUSHALL"], ["KEYS", "*"], ["GET", "x"], ["SHUTDOWN"]):
            with pytest.raises(NoPermissionError):
                redis.execute_command(*refused)
