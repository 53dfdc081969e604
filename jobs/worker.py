"""The worker process: `python -m jobs.worker QUEUE…`. RQ's worker, with a heartbeat that the sweep can trust."""

import sys
from typing import Any

import structlog
from flask import Flask
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker_registration import REDIS_WORKER_KEYS

import jobs.alerts
import jobs.bases
import jobs.clones
import jobs.nodes  # noqa: F401  imported before the first fork, so that no work horse pays for it
from jobs.listed import ListedJob
from jobs.warmup import warm
from ravada_web import create_app
from ravada_web.extensions import db, queues
from ravada_web.process import die_with, set_name
from ravada_web.services.operations.kinds import QUEUES
from ravada_web.services.operations.outbox import wait_for_queue
from ravada_web.services.operations.sweep import ALIVE_SECONDS, heartbeat_key
from ravada_web.services.operations.workers import WORKER_TTL

log = structlog.get_logger()


class DesktopWorker(Worker):
    """A forking worker: a job that hangs in C can be killed, and a killed worker takes its job's process along. It does
    the jobs that the product queues, and no others."""

    job_class = ListedJob

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork with what every job needs already in memory."""
        warm()
        super().fork_work_horse(job, queue)

    def procline(self, message: str) -> None:
        """Keep the name in `ps`: the worker's name says more than how long it has waited."""

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that it lives; after a restart of Redis the worker registers again."""
        if not self.connection.sismember(REDIS_WORKER_KEYS, self.key):
            self.connection.delete(self.key)
            self.register_birth()  # type: ignore[no-untyped-call]
        super().heartbeat(timeout, pipeline)

    def prepare_execution(self, job: Job) -> Execution:
        """Write the job's heartbeat before it begins."""
        self._say_alive(job)
        return super().prepare_execution(job)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Renew the heartbeat while the job runs."""
        self._say_alive(job)
        super().maintain_heartbeats(job, execution)

    def _say_alive(self, job: Job) -> None:
        """The heartbeat that a sweep on another host reads; on this host the sweep looks for the process itself."""
        try:
            self.connection.set(heartbeat_key(job.id), self.name, ex=ALIVE_SECONDS)
        except RedisError:
            self.log.warning("heartbeat not written")

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log what a job raised; Redis keeps its type alone."""
        log.error("job failed", job=job.id, queue=job.origin, exc_info=exc_info)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """In the fork: die with the parent, so that a killed worker's operations can be handed on at once."""
        assert self.pid is not None
        die_with(self.pid)
        set_name(f"job {job.id} of {queue.name}")
        db.engine.dispose(close=False)
        super().main_work_horse(job, queue)


def run(app: Flask, names: list[str]) -> None:
    """Work on these queues, the first ones first, until told to stop."""
    with app.app_context():
        wait_for_queue()
        queues.wait_for_restarts()
        worker = DesktopWorker(
            names,
            connection=queues.redis,
            serializer=JSONSerializer,
            job_monitoring_interval=1,
            worker_ttl=WORKER_TTL,
            log_job_description=False,
        )
        worker.work(logging_level="WARNING")


if __name__ == "__main__":
    queue_names = sys.argv[1:]
    if not queue_names or set(queue_names) - set(QUEUES):
        sys.exit(f"usage: python -m jobs.worker QUEUE…   (queues: {', '.join(QUEUES)})")
    run(create_app(), queue_names)
