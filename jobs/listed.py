"""What workers do: the jobs that the product queues, with ids alone.

Whoever can write to Redis can queue what they like. A job of any other function, or with anything but ids, fails with
`Refused` before a line of it is run or imported; and what RQ lets a job name beside its function (callbacks, webhooks,
retries) is not even read. Nothing that a job says comes back into Redis: of its failure the type is kept, and of its
success nothing.
"""

import sys
from collections.abc import Mapping
from typing import Any

from redis.client import Pipeline
from rq.exceptions import NoSuchJobError
from rq.job import Job

from jobs.periodic import periodic_work
from ravada_web.config import settings
from ravada_web.services.clones import second_look
from ravada_web.services.operations.kinds import KINDS

# What is read of a job: what the outbox and the ticker write, and how far RQ is with it.
READ = {"data", "origin", "status", "timeout", "ttl", "result_ttl", "failure_ttl", "rate_limit_key"}
READ |= {"rate_limit_concurrency", "description", "worker_name"}
READ |= {"created_at", "enqueued_at", "started_at", "ended_at", "last_heartbeat"}


class Refused(Exception):
    """The job is none of those that the product queues."""


def names() -> frozenset[str]:
    """The dotted names of all jobs that the product queues."""
    kinds = {kind.job for kind in KINDS.values()}
    return frozenset(kinds | {work.job for work in periodic_work(settings())} | {second_look.JOB})


class ListedJob(Job):
    """A job as workers read it."""

    def restore(self, raw_data: Mapping[bytes, bytes]) -> None:
        """Read what a job of ours has, and nothing else. Raises NoSuchJobError where that cannot be read."""
        known = {name: value for name, value in raw_data.items() if name.decode(errors="replace") in READ}
        try:
            super().restore(known)
        except Exception as error:
            raise NoSuchJobError("It cannot be read.") from error

    def perform(self) -> None:
        """Do it; what it returns stays here. Raises Refused, and what the job raises."""
        if not is_ours(self.func_name, self.instance, self.args, self.kwargs):
            raise Refused
        super().perform()
        self._result = None

    def _handle_failure(self, exc_string: str, pipeline: Pipeline, *args: Any, **options: Any) -> None:
        """Keep the type of what the job raised; RQ's own words where a worker or a process was lost."""
        raised = sys.exc_info()[0]
        super()._handle_failure(raised.__name__ if raised else exc_string, pipeline, *args, **options)


def is_ours(name: object, instance: object, args: object, kwargs: object) -> bool:
    """Whether a job, as it was read from Redis, is one that the product queues."""
    ids_alone = isinstance(args, list | tuple) and all(type(number) is int for number in args)
    return isinstance(name, str) and name in names() and instance is None and ids_alone and not kwargs
