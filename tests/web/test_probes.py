"""What load balancers ask: alive, and ready, which it is not while anything is missing; only the log says what."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import downgrade, upgrade
from rq import Worker
from rq.serializers import JSONSerializer

from ravada_web.config import Settings
from ravada_web.extensions import db, queues
from ravada_web.services.operations import readiness
from ravada_web.services.operations.kinds import QUEUES
from tests.support.servers import wait_until

Missing = Callable[[Flask, Settings], Iterator[None]]


@pytest.fixture
def working(app: Flask) -> dict[str, Worker]:
    """A worker that is known on each queue; nothing is known yet of how ready the application is."""
    app.extensions.pop(readiness._KEY, None)
    workers = {name: Worker([name], connection=queues.redis, serializer=JSONSerializer) for name in QUEUES}
    for worker in workers.values():
        worker.register_birth()
    return workers


def answer(client: FlaskClient, path: str) -> tuple[int, str]:
    said = client.get(path)
    assert said.mimetype == "text/plain" and "Set-Cookie" not in said.headers
    return said.status_code, said.text


@contextmanager
def no_database(_app: Flask, settings: Settings) -> Iterator[None]:
    file = settings.data / "ravada.sqlite"
    aside = file.rename(settings.data / "aside")
    file.mkdir()
    yield
    file.rmdir()
    aside.rename(file)


@contextmanager
def an_older_database(_app: Flask, _settings: Settings) -> Iterator[None]:
    downgrade(revision="-1")
    db.session.remove()
    yield
    upgrade()


@contextmanager
def no_redis(_app: Flask, settings: Settings) -> Iterator[None]:
    queues.connect(f"unix://{settings.data}/nowhere.sock")
    yield
    queues.connect(settings.redis_url)


@pytest.mark.parametrize(
    ("missing", "word"), [(no_database, "database"), (an_older_database, "migrations"), (no_redis, "redis")]
)
def test_without_what_work_needs_it_is_alive_but_not_ready(
    app: Flask,
    settings: Settings,
    client: FlaskClient,
    working: dict[str, Worker],
    caplog: pytest.LogCaptureFixture,
    missing: Missing,
    word: str,
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    with missing(app, settings):
        assert answer(client, "/readyz") == (503, "not ready\n")
        assert answer(client, "/healthz") == (200, "ok\n")
    assert word in caplog.text
    wait_until(lambda: answer(client, "/readyz") == (200, "ok\n"), 3, "it is ready again")


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_without_a_worker_is_not_ready(client: FlaskClient, working: dict[str, Worker], queue: str) -> None:
    assert answer(client, "/readyz") == (200, "ok\n")
    working[queue].register_death()
    wait_until(lambda: answer(client, "/readyz") == (503, "not ready\n"), 3, "the loss is seen")


def test_however_often_it_is_asked_it_looks_once_a_second(
    client: FlaskClient, working: dict[str, Worker], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    working["bulk"].register_death()
    for _time in range(20):
        assert answer(client, "/readyz")[0] == 503
    assert caplog.text.count("worker of bulk") <= 2
