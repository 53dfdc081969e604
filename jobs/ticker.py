"""The ticker process: `python -m jobs.ticker`. Under a Redis lock, so that one ticks however many run."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from flask import Flask
from redis.exceptions import LockError, RedisError
from redis.lock import Lock
from rq import Worker
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from jobs.loop import until_stopped
from ravada_web import create_app
from ravada_web.config import Settings, settings
from ravada_web.errors import RavadaError
from ravada_web.extensions import db, queues
from ravada_web.models import Access, Node, Observed, Pool, now
from ravada_web.services.consoles import screenshot_work
from ravada_web.services.monitoring import notifications
from ravada_web.services.operations.outbox import queue
from ravada_web.services.operations.sweep import Sweep

log = structlog.get_logger()
TICK_SECONDS = 0.5
# The coarser samples are made of the finest that often, each time the last two of every step.
THIN_SECONDS = 240.0
TELL_SECONDS = 3.0
# Who uses the pools: listing a pool of thousands of files is a second's work for its node.
COUNT_SECONDS, LOOK_SECONDS = 600.0, 30.0
# So many nodes are worth a job of their own, and so many a part.
A_JOB, A_PART, MOST_PARTS = 50, 10, 10
# Another ticker takes over when this one has been gone for so long.
LOCK_SECONDS = 5.0


def enqueue(name: str, job: str, *args: int, ttl: float, timeout: int) -> None:
    """Queue a job that leaves nothing; RQ drops it where it was not begun within `ttl` seconds: the next asks anew."""
    queue(name).enqueue(job, args=args, ttl=max(1, int(ttl)), job_timeout=timeout, result_ttl=0, failure_ttl=3600)


def queue_checks(interval: float, part: int = 0, parts: int = 1) -> None:
    """Queue checks of the nodes that let us in, as many for each worker.

    Of those that are well this part; of few nodes the first part is all. Those that are not go apart, with the first
    part, and last: no healthy one waits for them.
    """
    db.session.rollback()
    found = select(Node.id, Node.observed).where(Node.access != Access.NONE).order_by(Node.id)
    nodes = db.session.execute(found).all()
    parts = max(1, min(parts, len(nodes) // A_PART))
    well = [node_id for node_id, observed in nodes if observed == Observed.UP and node_id % parts == part]
    unwell = [node_id for node_id, observed in nodes if observed != Observed.UP and part == 0]
    for group in (well, unwell):
        size = max(A_JOB, math.ceil(len(group) / _check_workers()))
        for first in range(0, len(group), size):
            enqueue("checks", "jobs.nodes.check", *group[first : first + size], ttl=2 * interval, timeout=60)


def _check_workers() -> int:
    return max(1, Worker.count(queue=queue("checks")))


class Checks:
    """All nodes once an interval, a part of them about every second: pages need not wait for a burst.

    Where the workers do not keep up, the next part waits, so that all nodes are checked less often alike.
    """

    def __init__(self, interval: float) -> None:
        self._interval, self._parts, self._next = interval, max(1, min(MOST_PARTS, int(interval))), 0
        self.pause = interval / self._parts

    def queue_part(self) -> None:
        """Queue the checks of the next part."""
        if queue("checks").count > 2 * _check_workers():
            return
        queue_checks(self._interval, self._next, self._parts)
        self._next = (self._next + 1) % self._parts


def queue_pictures(interval: float) -> None:
    """Queue pictures of the screens of people who are about."""
    for clone_ids in screenshot_work.due():
        enqueue("default", "jobs.clones.pictures", *clone_ids, ttl=interval, timeout=60)


def queue_thinning() -> None:
    """Queue the thinning of samples."""
    enqueue("default", "jobs.nodes.thin", ttl=THIN_SECONDS, timeout=120)


def queue_telling() -> None:
    """Queue the telling of what is due, if anything is."""
    if notifications.is_due():
        enqueue("checks", "jobs.alerts.tell", ttl=TELL_SECONDS, timeout=90)


def queue_counting() -> None:
    """Queue the counting of who uses the pools of nodes that are up, where that is not known or was long ago."""
    old = Pool.counted_at.is_(None) | (Pool.counted_at < now() - timedelta(seconds=COUNT_SECONDS))
    due = select(Node.id).where(Node.observed == Observed.UP, Node.pools.any(Pool.active & old)).order_by(Node.id)
    # One whose files cannot be listed is not asked again and again.
    nodes = [
        node_id
        for node_id in db.session.scalars(due)
        if queues.redis.set(f"ravada:counting:{node_id}", 1, nx=True, ex=int(COUNT_SECONDS))
    ]
    for first in range(0, len(nodes), A_JOB):
        enqueue("default", "jobs.nodes.count", *nodes[first : first + A_JOB], ttl=COUNT_SECONDS, timeout=300)


@dataclass
class Routine:
    """What is queued every so many seconds."""

    interval: float
    queue: Callable[[], None]
    at: float = 0.0

    def run_if_due(self) -> None:
        """Queue it, unless that was within the interval."""
        late = time.monotonic() - self.at - self.interval
        if late >= 0:
            # By the clock, and not by when a tick came by; what was missed is not made up for.
            self.at += self.interval if late < self.interval else self.interval + late
            self.queue()


class Ticker:
    """Sweeps twice a second, queues the routines at their intervals; rides out what it needs being away."""

    def __init__(self, config: Settings) -> None:
        self._sweep = Sweep()
        self._lock: Lock = queues.redis.lock("ravada:ticker", timeout=LOCK_SECONDS, thread_local=False)
        checks = Checks(config.check_interval)
        self._routines = [
            Routine(checks.pause, checks.queue_part),
            Routine(config.picture_interval, lambda: queue_pictures(config.picture_interval)),
            Routine(TELL_SECONDS, queue_telling),
            Routine(THIN_SECONDS, queue_thinning),
            Routine(LOOK_SECONDS, queue_counting),
        ]

    def tick(self) -> None:
        """Do what is due, if this ticker holds the lock."""
        try:
            if not self._holds_lock():
                return
            self._sweep.run()
            for routine in self._routines:
                routine.run_if_due()
        except (RedisError, SQLAlchemyError, RavadaError) as error:
            log.warning("tick skipped", error=str(error))
        finally:
            db.session.remove()

    def _holds_lock(self) -> bool:
        try:
            if self._lock.owned() and self._lock.reacquire():
                return True
        except LockError:
            pass
        return self._lock.acquire(blocking=False)

    def release(self) -> None:
        """Let another ticker begin at once."""
        try:
            if self._lock.owned():
                self._lock.release()
        except (LockError, RedisError):
            pass


def run(app: Flask) -> None:
    """Tick until told to stop."""
    with app.app_context():
        ticker = Ticker(settings())
        for _tick in until_stopped(TICK_SECONDS):
            ticker.tick()
        ticker.release()


if __name__ == "__main__":
    run(create_app())
