"""rq-dashboard: to look at, by who may see all operations, under a policy of its own; nothing can be changed there."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ravada_web.models import Operation, User
from ravada_web.services.operations.outbox import queue
from ravada_web.services.operations.requests import request
from ravada_web.services.people import operator_scopes
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.web.conftest import World

SignInAs = Callable[[User | str], FlaskClient]
LOOKS = ["/ops/rq/", "/ops/rq/0/view/workers", "/ops/rq/0/view/jobs", "/ops/rq/0/data/queues.json"]
CHANGES = [
    ("GET", "/ops/rq/requeue/default"),
    ("POST", "/ops/rq/requeue/default"),
    ("POST", "/ops/rq/job/{job}/delete"),
    ("POST", "/ops/rq/job/{job}/requeue"),
    ("POST", "/ops/rq/queue/interactive/queued/empty"),
    ("POST", "/ops/rq/queue/interactive/compact"),
]


@pytest.fixture
def job(people: People) -> str:
    with transaction() as session:
        row: Operation = request(session, "clones_start", "Start something", actor=people.operator, awaited=True)
    return row.job_id


@pytest.mark.parametrize("address", LOOKS)
def test_operators_look_and_users_do_not(people: People, sign_in: SignInAs, job: str, address: str) -> None:
    for name, status in (("user", 403), ("operator", 200), ("administrator", 200)):
        # With a browser's own header: answers that are compressed on their way out, too.
        answer = sign_in(name).get(address, headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
        assert answer.status_code == status


def test_nobody_is_led_to_the_sign_in(client: FlaskClient, people: People) -> None:
    assert client.get("/ops/rq/").location.startswith("/login")


def test_a_job_is_seen_with_its_arguments(people: People, sign_in: SignInAs, job: str) -> None:
    client = sign_in("operator")
    assert client.get(f"/ops/rq/0/view/job/{job}").status_code == 200
    assert "jobs.clones.start" in client.get(f"/ops/rq/0/data/job/{job}.json").text


@pytest.mark.parametrize(("method", "address"), CHANGES)
def test_nothing_is_changed_there(people: People, sign_in: SignInAs, job: str, method: str, address: str) -> None:
    answer = sign_in("administrator").open(address.format(job=job), method=method)
    assert answer.status_code == 403
    assert job in queue("interactive").get_job_ids()


def test_who_is_given_a_part_of_the_house_does_not_see_all_jobs(
    world: World, people: People, sign_in: SignInAs, job: str
) -> None:
    operator_scopes.set_scope(people.administrator, people.operator, [world.nodes[0]], [])
    assert sign_in("operator").get("/ops/rq/").status_code == 403


def test_its_policy_is_its_own(app: Flask, people: People, sign_in: SignInAs) -> None:
    client = sign_in("administrator")
    for address in ("/ops/rq/", "/ops/rq/0/view/workers"):
        policy = client.get(address).headers["Content-Security-Policy"]
        assert "'unsafe-eval'" in policy and "default-src 'none'" in policy
    for address in ("/operations", "/workers", "/ops", "/ops/rqx"):
        assert "unsafe" not in client.get(address).headers["Content-Security-Policy"]


def test_it_leads_back_to_the_operations(people: People, sign_in: SignInAs) -> None:
    assert '<a href="/operations">' in sign_in("operator").get("/ops/rq/").text
