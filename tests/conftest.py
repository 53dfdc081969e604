"""Fixtures for all tests: a private data folder, a real SQLite and a real Redis, people of every role.

With CI=true nothing may be skipped: a test that would skip fails, with the reason that it gave.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from jobs.listed import ListedJob
from ravada_web.config import Settings
from ravada_web.extensions import db, log_kept, queues
from ravada_web.identity import passwords
from ravada_web.models import Role, User
from ravada_web.services.nodes import trust
from ravada_web.services.operations.kinds import QUEUES
from ravada_web.services.people import users
from tests.lab import missing_requirements
from tests.support import servers
from tests.support.cluster import Cluster, running_cluster
from tests.support.installation import Installation
from tests.support.servers import redis_server, wait_until

pytest_plugins = ["tests.support.databases", "tests.support.house", "tests.support.own_network"]
PASSWORD = "correct horse battery"
# The product's own hasher, and the hash that it checks for unknown names, before the tests put a quick one in place.
DEAR = passwords._hasher, passwords._NOBODY

# An example, and drawing one, may take its time on a busy machine; how long a test may take is pytest's to say.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Only a test that promises a time is held to the limits that it names."""
    servers.patience = 1.0 if item.get_closest_marker("clock") else servers.PATIENT


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI, turn a skip into a failure: what is not run there is not proved."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"would be skipped, which CI does not accept: {report.longrepr}"


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A test's own folder. Its path is short, whatever the test is named: there are sockets in some."""
    return tmp_path_factory.mktemp("t")


@pytest.fixture(scope="session")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a Redis that this test session alone uses."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt install redis-server)")
    socket = tmp_path_factory.mktemp("r") / "redis.sock"
    with redis_server(socket):
        yield socket


@pytest.fixture
def redis_url(redis_socket: Path) -> str:
    """The URL of the Redis, with nothing in it."""
    with Redis(unix_socket_path=str(redis_socket)) as connection:
        connection.flushall()
    return f"unix://{redis_socket}"


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Passwords hashed by the same function, at its least cost: a test makes people by the handful."""
    with pytest.MonkeyPatch.context() as patch:
        quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(passwords, "_hasher", quick)
        patch.setattr(passwords, "_NOBODY", quick.hash(PASSWORD))
        yield


@pytest.fixture
def dear_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords hashed at the product's own cost, for tests of the time that it takes."""
    monkeypatch.setattr(passwords, "_hasher", DEAR[0])
    monkeypatch.setattr(passwords, "_NOBODY", DEAR[1])


@pytest.fixture(scope="session")
def installation(database_folder: Path, redis_socket: Path) -> Iterator[Installation]:
    """What the tests of this process have one after the other."""
    kept = Installation(database_folder, f"unix://{redis_socket}")
    yield kept
    kept.remove()


@pytest.fixture
def settings(installation: Installation, empty_database: Path, redis_url: str) -> Settings:
    """Those of an installation with its tables made and its queue empty."""
    return installation.reset(empty_database)


@pytest.fixture
def app(settings: Settings, installation: Installation) -> Iterator[Flask]:
    """The application, its context pushed."""
    app = installation.application()
    # As every process of the product, it keeps a connection: else each transaction's end moves SQLite's log.
    with app.app_context(), log_kept():
        yield app
        db.session.remove()
        # A job that failed is held by its own traceback, and with it what it was read by.
        queues.redis.close()


@dataclass
class People:
    """One of each role, and a second user; all have the same password."""

    user: User
    other: User
    operator: User
    administrator: User
    password: str = PASSWORD


@pytest.fixture
def people(app: Flask) -> People:
    """Users of every role."""
    made = {
        name: users.create(None, name, role, PASSWORD)[0]
        for name, role in (
            ("user", Role.USER),
            ("other", Role.USER),
            ("operator", Role.OPERATOR),
            ("administrator", Role.ADMINISTRATOR),
        )
    }
    return People(**made)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without JavaScript, not signed in; it does not send CSRF tokens, so they are not asked for."""
    app.config["WTF_CSRF_ENABLED"] = False
    return app.test_client()


@pytest.fixture
def sign_in(client: FlaskClient) -> Callable[[User | str], FlaskClient]:
    """Sign the client in through the form, as somebody."""

    def as_user(user: User | str) -> FlaskClient:
        name = user if isinstance(user, str) else user.name
        client.post("/logout")
        answer = client.post("/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    return as_user


@pytest.fixture
def drain(app: Flask) -> Callable[[], None]:
    """Do all that is queued now, in this process, with RQ's own worker."""

    def work() -> None:
        options = {"connection": queues.redis, "serializer": JSONSerializer, "job_class": ListedJob}
        worker = SimpleWorker(list(QUEUES), **options)
        worker.work(burst=True, logging_level="ERROR")
        db.session.rollback()

    return work


@pytest.fixture(scope="session")
def whole_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The product on a lab of three nodes, started once for all tests that need it."""
    if reason := missing_requirements():
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("c")) as cluster:
        yield cluster


@pytest.fixture
def cluster(whole_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, healthy before the test; afterwards healed, and rid of the clones that the test made."""
    # Other tests made applications since, with a Redis and a database of their own.
    queues.init_app(whole_cluster.app)
    trust.listen(whole_cluster.app)
    wait_healthy(whole_cluster)
    yield whole_cluster
    for node in whole_cluster.lab.nodes:
        if node.running:
            node.heal()
            node.resume()
        node.start()
    wait_healthy(whole_cluster)
    whole_cluster.remove_made()


def wait_healthy(cluster: Cluster) -> None:
    """Wait until every node is seen up."""
    wait_until(lambda: all(cluster.node(node.name).observed == "up" for node in cluster.lab.nodes), 40, "all nodes up")
