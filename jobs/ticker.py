"""The ticker process: `python -m jobs.ticker`. Under a Redis lock, so that one ticks however many run."""

import time

import structlog
from redis.exceptions import LockError, RedisError
from redis.lock import Lock
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from jobs.loop import until_stopped
from ravada_web import create_app
from ravada_web.config import Settings
from ravada_web.errors import RavadaError
from ravada_web.extensions import db, queues
from ravada_web.models import Access, Node, Observed
from ravada_web.services import picture_work, telling
from ravada_web.services.operations import settings
from ravada_web.services.outbox import queue
from ravada_web.services.sweep import Sweep

log = structlog.get_logger()
TICK_SECONDS = 0.5
# The coarser samples are made of the finest that often, each time the last two of every step.
THIN_SECONDS = 240.0
TELL_SECONDS = 3.0
# Another ticker takes over when this one has been gone for so long.
LOCK_SECONDS = 5.0


def queue_checks(interval: float, batch: int) -> None:
    """Queue a check of every node that lets us in, in batches; those not well go apart: no healthy one waits for them.

    A check that was not begun within its interval is dropped by RQ (`ttl`): the next one asks anew.
    """
    db.session.rollback()
    nodes = db.session.execute(select(Node.id, Node.observed).where(Node.access != Access.NONE).order_by(Node.id)).all()
    well = [node_id for node_id, observed in nodes if observed == Observed.UP]
    unwell = [node_id for node_id, observed in nodes if observed != Observed.UP]
    for group in (well, unwell):
        for first in range(0, len(group), batch):
            queue("checks").enqueue(
                "jobs.nodes.check",
                args=tuple(group[first : first + batch]),
                ttl=max(1, int(interval)),
                job_timeout=60,
                result_ttl=0,
                failure_ttl=3600,
            )


def queue_pictures(interval: float) -> None:
    """Queue pictures of the screens of people who are about; those not begun within the interval are dropped."""
    for clone_ids in picture_work.wanted():
        queue("default").enqueue(
            "jobs.clones.pictures",
            args=tuple(clone_ids),
            ttl=max(1, int(interval)),
            job_timeout=60,
            result_ttl=0,
            failure_ttl=3600,
        )


def queue_thinning() -> None:
    """Queue the thinning of samples; one that was not begun before the next is dropped."""
    queue("default").enqueue("jobs.nodes.thin", ttl=int(THIN_SECONDS), job_timeout=120, result_ttl=0, failure_ttl=3600)


def queue_telling() -> None:
    """Queue the telling of what is due; one at a time, dropped by RQ when it was not begun soon."""
    queue("checks").enqueue("jobs.alerts.tell", ttl=int(TELL_SECONDS), job_timeout=90, result_ttl=0, failure_ttl=3600)


class Ticker:
    """Sweeps twice a second, queues checks and pictures at their intervals; rides out what it needs being away."""

    def __init__(self, config: Settings) -> None:
        self._config = config
        self._sweep = Sweep()
        self._lock: Lock = queues.redis.lock("ravada:ticker", timeout=LOCK_SECONDS, thread_local=False)
        self._checked_at = 0.0
        self._pictured_at = 0.0
        self._thinned_at = 0.0
        self._told_at = 0.0

    def tick(self) -> None:
        """Do what is due, if this ticker holds the lock."""
        try:
            if not self._holds_lock():
                return
            self._sweep.run()
            if time.monotonic() - self._checked_at >= self._config.check_interval:
                self._checked_at = time.monotonic()
                queue_checks(self._config.check_interval, self._config.check_batch)
            if time.monotonic() - self._pictured_at >= self._config.picture_interval:
                self._pictured_at = time.monotonic()
                queue_pictures(self._config.picture_interval)
            if time.monotonic() - self._told_at >= TELL_SECONDS:
                self._told_at = time.monotonic()
                if telling.is_due():
                    queue_telling()
            if time.monotonic() - self._thinned_at >= THIN_SECONDS:
                self._thinned_at = time.monotonic()
                queue_thinning()
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


def main() -> None:
    """Tick until told to stop."""
    with create_app().app_context():
        ticker = Ticker(settings())
        for _tick in until_stopped(TICK_SECONDS):
            ticker.tick()
        ticker.release()


if __name__ == "__main__":
    main()
