"""The jobs of the queues: to look at, by who may see all operations; whatever they say, it stays text."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from ravada_web.extensions import Queues, queues
from ravada_web.models import Operation, User
from ravada_web.services.operations.outbox import queue
from ravada_web.services.operations.requests import request
from ravada_web.services.people import operator_scopes
from ravada_web.services.transaction import transaction
from ravada_web.web.security import POLICY
from tests.conftest import People
from tests.web.conftest import World

SignInAs = Callable[[User | str], FlaskClient]
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def job(people: People) -> str:
    with transaction() as session:
        row: Operation = request(session, "clones_start", "Start something", actor=people.operator, awaited=True)
    return row.job_id


def test_the_workers_page_counts_jobs_and_leads_to_them(people: People, sign_in: SignInAs, job: str) -> None:
    client = sign_in("operator")
    assert '<a href="/workers/jobs/interactive/queued">1</a>' in client.get("/workers").text
    listed = client.get("/workers/jobs/interactive/queued").text
    assert f'<a href="/workers/jobs/{job}">' in listed and "jobs.clones.start(" in listed


def test_a_job_is_seen_with_its_function_its_ids_and_its_operation(people: People, sign_in: SignInAs, job: str) -> None:
    number = job.split("-")[1]
    said = sign_in("operator").get(f"/workers/jobs/{job}").text
    assert f"jobs.clones.start({number}, 1)" in said and f'<a href="/operations/{number}">' in said
    assert "Waiting" in said


def test_a_failed_job_shows_what_kind_of_error_it_was(
    people: People, sign_in: SignInAs, drain: Callable[[], None]
) -> None:
    failed = queue("bulk").enqueue("os.system", "true")
    drain()
    client = sign_in("operator")
    assert '<a href="/workers/jobs/bulk/failed">1</a>' in client.get("/workers").text
    for path in ("/workers/jobs/bulk/failed", f"/workers/jobs/{failed.id}"):
        assert "Refused" in client.get(path).text


def test_script_in_any_field_of_a_job_is_shown_as_text(people: People, sign_in: SignInAs) -> None:
    client = sign_in("administrator")
    forged = queue("bulk").enqueue(SCRIPT, SCRIPT, word=SCRIPT, description=SCRIPT, meta={SCRIPT: SCRIPT})
    fields = [field.decode() for field in queues.redis.hkeys(forged.key)]
    queues.redis.xadd(f"rq:results:{forged.id}", {"type": 2, "exc_string": SCRIPT, "worker_name": SCRIPT})
    for field in ["", *fields]:
        before = queues.redis.hget(forged.key, field) if field else None
        if field and field != "data":
            queues.redis.hset(forged.key, field, SCRIPT)
        for path in ("/workers", "/workers/jobs/bulk/queued", f"/workers/jobs/{forged.id}"):
            answer = client.get(path)
            assert answer.status_code in (200, 404), (field, path)
            assert "alert(1)</" not in answer.text, (field, path)
            assert answer.headers["Content-Security-Policy"] == POLICY
        if before is not None:
            queues.redis.hset(forged.key, field, before)
    assert str(escape(SCRIPT)) in client.get("/workers/jobs/bulk/queued").text, "it is shown"


@pytest.mark.parametrize("forged", [SCRIPT, "../../login", "a b", "x" * 3000, "ä", "%s", "{0}"])
def test_a_job_with_an_odd_id_keeps_no_other_from_being_seen(
    people: People, sign_in: SignInAs, job: str, forged: str
) -> None:
    queues.redis.lpush("rq:queue:interactive", forged)
    queues.redis.set(f"rq:job:{forged}", "no hash")
    queues.redis.zadd("rq:failed:interactive", {forged: 1})
    client = sign_in("administrator")
    listed = client.get("/workers/jobs/interactive/queued")
    assert listed.status_code == 200 and job in listed.text
    assert "Unreadable" in listed.text and SCRIPT not in listed.text
    assert client.get("/workers/jobs/interactive/failed").status_code == 200


def test_a_job_that_is_gone_is_a_sentence(people: People, sign_in: SignInAs, job: str) -> None:
    client = sign_in("operator")
    queues.redis.delete(f"rq:job:{job}")
    for name in (job, "op-99-1", "nothing"):
        answer = client.get(f"/workers/jobs/{name}")
        assert answer.status_code == 404 and "This job no longer exists" in answer.text


@pytest.mark.parametrize("path", ["/ops/rq", "/ops/rq/"])
def test_the_address_of_rq_dashboard_leads_to_the_workers(people: People, sign_in: SignInAs, path: str) -> None:
    answer = sign_in("operator").get(path, follow_redirects=True)
    assert answer.request.path == "/workers" and "RQ dashboard was removed" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/ops/rq/nothing",
        "/ops/rq/0/view/jobs",
        "/ops/rq/static/js/x.js",
        "/ops/rq/requeue/default",
        "/workers/jobs/nothing/queued",
        "/workers/jobs/bulk/nothing",
        "/workers/jobs/bulk/queued/more",
    ],
)
def test_what_is_not_there_is_a_404(people: People, sign_in: SignInAs, path: str) -> None:
    assert sign_in("administrator").get(path).status_code == 404


def test_nothing_is_changed_there(people: People, sign_in: SignInAs, job: str) -> None:
    client = sign_in("administrator")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in (f"/workers/jobs/{job}", "/workers/jobs/interactive/queued", "/ops/rq"):
            assert client.open(path, method=method).status_code == 405
    assert job in queue("interactive").get_job_ids()


def test_who_is_given_a_part_of_the_house_sees_no_jobs(
    world: World, people: People, sign_in: SignInAs, job: str
) -> None:
    operator_scopes.set_scope(people.administrator, people.operator, [world.nodes[0]], [])
    client = sign_in("operator")
    for path in (f"/workers/jobs/{job}", "/workers/jobs/interactive/queued"):
        assert client.get(path).status_code == 403
    assert "/workers/jobs/" not in client.get("/workers").text


def test_without_redis_the_jobs_say_so(people: People, sign_in: SignInAs, monkeypatch: pytest.MonkeyPatch) -> None:
    client = sign_in("administrator")
    away = Queues()
    away.connect("unix:///nowhere")
    monkeypatch.setattr(queues, "_pages", away._pages)
    for path in ("/workers/jobs/bulk/failed", "/workers/jobs/op-1-1"):
        assert client.get(path).status_code == 503
    assert client.get("/workers").status_code == 200
