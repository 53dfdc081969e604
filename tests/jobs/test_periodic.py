"""The list of periodic work: each entry is one that the ticker can queue and a worker can do."""

import inspect
from importlib import import_module

from flask import Flask

from jobs.periodic import periodic_work
from ravada_web.config import Settings
from ravada_web.services.operations.kinds import QUEUES
from ravada_web.services.operations.outbox import queue
from tests.support.factories import make_nodes


def test_every_entry_names_a_job_a_queue_and_its_times(settings: Settings) -> None:
    works = periodic_work(settings)
    assert len({work.name for work in works}) == len(works) > 0
    for work in works:
        room, _dot, name = work.job.rpartition(".")
        assert room.startswith("jobs."), work
        job = getattr(import_module(room), name)
        kinds = {parameter.kind for parameter in inspect.signature(job).parameters.values()}
        assert kinds <= {inspect.Parameter.VAR_POSITIONAL}, "ids alone, as many as are due"
        assert work.queue in QUEUES, work
        assert work.every > 0 and work.timeout > 0, work
        assert work.ttl >= min(work.every, 1), "what is due is not dropped before a worker could begin it"


def test_the_intervals_are_those_of_the_settings(settings: Settings) -> None:
    chosen = settings.model_copy(update={"check_interval": 60.0, "picture_interval": 90.0})
    works = {work.name: work for work in periodic_work(chosen)}
    assert works["screenshots"].every == 90
    assert works["checks"].every == 6, "a tenth of the nodes at a time"


def test_what_is_due_is_a_list_of_ids_for_each_job(app: Flask, settings: Settings) -> None:
    nodes = make_nodes(3)
    due = {work.name: [list(ids) for ids in work.due()] for work in periodic_work(settings)}
    nothing: list[list[int]] = []
    assert due == {
        "checks": [nodes],
        "screenshots": nothing,
        "notifications": nothing,
        "refusals": nothing,
        "host power": nothing,
        "waking": nothing,
        "thinning": [[]],
        "shutdowns": nothing,
        "made again": nothing,
        "plans": nothing,
        "moves": nothing,
        "replicas": nothing,
        "leftovers": nothing,
        "reserve": [[]],
        "balance": nothing,
        "rests": nothing,
        "rest steps": nothing,
        "rows": [[]],
        "counts": [nodes],
    }


def test_a_job_that_nobody_took_up_is_dropped_when_the_next_one_is_due(app: Flask, settings: Settings) -> None:
    (checks,) = [work for work in periodic_work(settings) if work.name == "checks"]
    checks.enqueue(1, 2)
    (job,) = queue("checks").get_jobs()
    assert tuple(job.args) == (1, 2)
    assert job.ttl == 2 * settings.check_interval
