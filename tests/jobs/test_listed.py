"""Jobs: workers do those that the product queues, with ids alone; and nothing that a job says comes into Redis."""

import ast
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from rq import Queue
from rq.job import Callback, Job
from rq.serializers import JSONSerializer
from rq.webhook import Webhook

from jobs import listed, worker
from jobs.worker import DesktopWorker
from ravada_web import ROOT
from ravada_web.extensions import db, queues
from ravada_web.models import Operation, OperationState
from ravada_web.services.operations.execution import Handle, run
from ravada_web.services.operations.outbox import queue
from ravada_web.services.operations.requests import request
from ravada_web.services.transaction import transaction
from tests.support.redis_words import everything

Drain = Callable[[], None]
HOSTILE = "<img src=x onerror=alert(document.domain)>\n\x1b[2J of a node"
# Nothing else imports it: whether it was shows whether a job's name was followed.
NEVER_IMPORTED = "this"


def test_what_jobs_are_in_is_loaded_before_the_first_fork(app: Flask) -> None:
    """Else each job's process would load it again."""
    tree = ast.parse(Path(worker.__file__).read_text())
    loaded = {alias.name for line in tree.body if isinstance(line, ast.Import) for alias in line.names}
    assert {name.rpartition(".")[0] for name in listed.names()} <= loaded


def failure(job: Job) -> str:
    """The type of what the job raised, as Redis keeps it."""
    result = job.latest_result()
    assert result is not None and job.get_status() == "failed"
    return result.exc_string or ""


# What is queued, with what; "{path}" is a file that must not come to be.
REFUSED: list[tuple[str, list[Any], dict[str, str]]] = [
    ("os.system", ["touch {path}"], {}),
    ("subprocess.run", [["touch", "{path}"]], {}),
    ("builtins.exec", ["open('{path}', 'w')"], {}),
    ("exec", ["open('{path}', 'w')"], {}),
    ("pathlib.Path.touch", ["{path}"], {}),
    (f"{NEVER_IMPORTED}.anything", [], {}),
    ("time.sleep", [0], {}),
    ("jobs.nodes.probe.check", [[1]], {}),
    ("jobs.worker.run", [1, 2], {}),
    ("ravada_web.services.nodes.history.thin", [], {}),
    ("jobs.nodes.check", ["1; touch {path}"], {}),
    ("jobs.nodes.check", [True], {}),
    ("jobs.nodes.check", [1.5], {}),
    ("jobs.nodes.check", [[1]], {}),
    ("jobs.nodes.check", [None], {}),
    ("jobs.nodes.thin", [], {"path": "{path}"}),
]


def test_what_the_product_does_not_queue_fails_and_nothing_of_it_is_run(
    app: Flask, drain: Drain, tmp_path: Path
) -> None:
    path = tmp_path / "run"

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(each) for each in value]
        return value.format(path=path) if isinstance(value, str) else value

    jobs = [
        queue("default").enqueue_call(name, filled(args), {key: filled(each) for key, each in kwargs.items()})
        for name, args, kwargs in REFUSED
    ]
    drain()
    assert [failure(job) for job in jobs] == ["Refused"] * len(REFUSED)
    assert not path.exists() and NEVER_IMPORTED not in sys.modules


# What somebody writes where a job's function and ids are kept.
WRITTEN = [
    b'["os.system", null, ["true"], {}]',
    b'["system", "os", ["true"], {}]',
    b'[["jobs.nodes.thin"], null, [], {}]',
    b'["jobs.nodes.thin", null, {"0": 1}, {}]',
    b'["jobs.nodes.thin", null, "12", {}]',
    b'["jobs.nodes.thin"]',
    b"null",
    b"\x80\x04\x95 a pickle",
]


def test_what_was_written_by_hand_fails_and_the_worker_goes_on(app: Flask, drain: Drain) -> None:
    jobs = [queue("default").enqueue("jobs.nodes.thin") for _data in WRITTEN]
    for job, data in zip(jobs, WRITTEN, strict=True):
        queues.redis.hset(job.key, "data", data)
    after = queue("default").enqueue("jobs.nodes.thin")
    drain()
    assert [failure(job) for job in jobs] == ["Refused"] * 5 + ["DeserializationError"] * 3
    assert after.get_status() == "finished"


def test_a_job_that_cannot_be_read_is_left_and_the_worker_goes_on(app: Flask, drain: Drain) -> None:
    for field in ("created_at", "timeout", "ttl", "status", "rate_limit_concurrency"):
        queues.redis.hset(queue("default").enqueue("jobs.nodes.thin").key, field, "\x1b[2J")
    after = queue("default").enqueue("jobs.nodes.thin")
    drain()
    assert after.get_status() == "finished"


def trip(*_given: object) -> None:
    """A function that no job may have called."""
    _Tripped.times += 1


class _Tripped:
    times = 0


@pytest.fixture
def untouched() -> Iterator[str]:
    """The address of a server that nobody may ask."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(("name", "status"), [("jobs.nodes.thin", "finished"), ("os.system", "failed")])
def test_a_job_calls_nothing_else_when_it_is_over(
    app: Flask, drain: Drain, untouched: str, name: str, status: str
) -> None:
    call = Callback(f"{__name__}.trip")
    hooks = [Webhook(untouched, "finished"), Webhook(untouched, "failed")]
    job = queue("default").enqueue(name, on_success=call, on_failure=call, on_stopped=call, webhooks=hooks)
    drain()
    assert job.get_status() == status
    assert _Tripped.times == 0


def test_every_job_that_the_product_queues_is_listed(app: Flask) -> None:
    sources = [*(ROOT / "ravada_web").rglob("*.py"), *(ROOT / "jobs").glob("*.py")]
    named = {name for path in sources for name in re.findall(r'"(jobs\.\w+\.\w+)"', path.read_text())}
    assert named == listed.names()


def shout(*_ids: int) -> None:
    """A job that a node's words break."""
    raise RuntimeError(HOSTILE) from ValueError(HOSTILE)


def tell(*_ids: int) -> dict[str, str]:
    """A job that returns what a node has said."""
    return {HOSTILE: HOSTILE}


def break_down(operation_id: int, attempt: int) -> None:
    """A job of an operation that a node's words break."""

    def work(_handle: Handle) -> None:
        shout()

    run(operation_id, attempt, work)


@pytest.fixture
def more_jobs(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are taken by this process's workers, too."""
    ours = listed.names() | {f"{__name__}.{job.__name__}" for job in (shout, tell, break_down)}
    monkeypatch.setattr(listed, "names", lambda: ours)


def by_a_forking_worker() -> None:
    worker = DesktopWorker(["default"], connection=queues.redis, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="WARNING")


def test_of_a_failure_redis_keeps_the_type_alone(more_jobs: None, drain: Drain) -> None:
    for work in (drain, by_a_forking_worker):
        job = queue("default").enqueue(f"{__name__}.shout", 1)
        assert b"shout" in everything(queues.redis), "what is searched is all that is there"
        work()
        assert failure(job) == "RuntimeError"
        assert b"onerror" not in everything(queues.redis)


def test_what_a_job_returns_stays_with_the_worker(more_jobs: None, drain: Drain) -> None:
    for work in (drain, by_a_forking_worker):
        job = queue("default").enqueue(f"{__name__}.tell", 1)
        work()
        assert job.get_status() == "finished"
        assert b"onerror" not in everything(queues.redis)


def test_an_operation_that_breaks_says_why_in_its_row_alone(more_jobs: None, drain: Drain) -> None:
    with transaction() as session:
        operation = request(session, "alert_test", "Test", actor=None).id
    queue("default").empty()
    job = queue("default").enqueue(f"{__name__}.break_down", operation, 1)
    drain()
    assert failure(job) == "RuntimeError"
    row = db.session.get_one(Operation, operation)
    assert row.state == OperationState.FAILED and "onerror" in str(row.error)
    assert b"onerror" not in everything(queues.redis)


def test_a_queue_of_anybody_is_read_the_same_way(app: Flask, drain: Drain, redis_url: str, tmp_path: Path) -> None:
    with Redis.from_url(redis_url) as stranger:
        job = Queue("bulk", connection=stranger, serializer=JSONSerializer).enqueue("os.mkdir", str(tmp_path / "made"))
        drain()
        assert failure(job) == "Refused"
    assert not (tmp_path / "made").exists()
