"""The worker process: `python -m jobs.worker QUEUE…`. RQ's worker, with a heartbeat that the sweep can trust."""

import mmap
import struct
import sys
import threading
import time
from typing import Any

import structlog
from flask import Flask
from redis.client import Pipeline
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker_registration import REDIS_WORKER_KEYS

import jobs.alerts
import jobs.audit
import jobs.bases
import jobs.clones
import jobs.moves
import jobs.nodes
import jobs.rows  # noqa: F401  imported before the first fork, so that no work horse pays for it
from jobs.listed import ListedJob
from jobs.warmup import warm
from ravada_web import beats, create_app
from ravada_web.extensions import db, queues
from ravada_web.process import die_with, set_name
from ravada_web.services.operations.kinds import QUEUES
from ravada_web.services.operations.outbox import wait_for_queue
from ravada_web.services.operations.sweep import ALIVE_SECONDS, heartbeat_key
from ravada_web.services.operations.workers import WORKER_TTL, say_alive

log = structlog.get_logger()

# A job's process that has not said for so long that it goes on is late, and the worker's own beats stop, so that it is
# seen; later it is killed, and its work goes to the next attempt.
BEAT_SECONDS, LATE_SECONDS, KILL_SECONDS = 1.0, 3.0, 18.0


class JobBeats:
    """When a job's process said last that it goes on (monotonic), in memory that it shares with its worker."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, struct.calcsize("d"))

    def beat(self) -> None:
        """It goes on."""
        struct.pack_into("d", self._memory, 0, time.monotonic())

    def silent_seconds(self) -> float:
        """For how long it has not said so."""
        return time.monotonic() - float(struct.unpack_from("d", self._memory)[0])

    def keep_beating(self) -> None:
        """Beat from a thread for as long as this process goes on, whatever it waits for."""
        threading.Thread(target=self._beat_on, name="beats", daemon=True).start()

    def _beat_on(self) -> None:
        while True:
            self.beat()
            time.sleep(BEAT_SECONDS)


class DesktopWorker(Worker):
    """A forking worker: a job that hangs in C can be killed, and a killed worker takes its job's process along. It does
    the jobs that the product queues, and no others."""

    job_class = ListedJob

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._job_beats = JobBeats()

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork with what every job needs already in memory."""
        warm()
        self._job_beats.beat()
        super().fork_work_horse(job, queue)

    def procline(self, message: str) -> None:
        """Keep the name in `ps`: the worker's name says more than how long it has waited."""

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Say that it lives; after a restart of Redis the worker registers again."""
        if not self._horse_pid:
            beats.beat()
        if not self.connection.sismember(REDIS_WORKER_KEYS, self.key):
            self.connection.delete(self.key)
            self.register_birth()  # type: ignore[no-untyped-call]
        super().heartbeat(timeout, pipeline)
        say_alive(self.key)

    def prepare_execution(self, job: Job) -> Execution:
        """Write the job's heartbeat before it begins."""
        self._say_alive(job)
        return super().prepare_execution(job)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Renew the heartbeats while the job goes on; kill its process where it stands still."""
        if self._job_beats.silent_seconds() > KILL_SECONDS:
            self.log.error("job %s stands still, ending it", job.id)
            self.kill_horse()
        self._beat_with_job()
        self._say_alive(job)
        self._beat_with_job()  # that may have waited for Redis, and so may the next
        try:
            super().maintain_heartbeats(job, execution)
        except RedisTimeoutError:
            self.log.warning("Redis does not answer, job %s goes on", job.id)

    def _beat_with_job(self) -> None:
        """A beat, unless the job's process is late with its own."""
        if self._job_beats.silent_seconds() < LATE_SECONDS:
            beats.beat()

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
        self._job_beats.keep_beating()
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
