"""The ticker process: `python -m jobs.ticker`. Under a Redis lock, so that one ticks however many run."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from flask import Flask
from redis.exceptions import LockError, RedisError
from redis.lock import Lock
from sqlalchemy.exc import SQLAlchemyError

from jobs.loop import until_stopped
from jobs.periodic import Periodic, periodic_work
from ravada_web import beats, create_app
from ravada_web.config import Settings, settings
from ravada_web.errors import RavadaError
from ravada_web.extensions import db, log_kept, queues
from ravada_web.guard import guarded
from ravada_web.messages import Message
from ravada_web.services.operations.sweep import Sweep

log = structlog.get_logger()
TICK_SECONDS = 0.5
# Another ticker takes over when this one has been gone for so long.
LOCK_SECONDS = 5.0


def _tell(work: str) -> Callable[[Message], None]:
    """Log why a periodic work was not queued; its next turn tries again."""
    return lambda reason: log.warning("periodic work skipped", work=work, reason=reason.to_json())


@dataclass
class Turn:
    """When a periodic work's turn was, by the monotonic clock."""

    work: Periodic
    at: float = 0.0

    def take_if_due(self) -> None:
        """Queue what is due of it, unless its turn was within the interval."""
        every = self.work.every
        late = time.monotonic() - self.at - every
        if late >= 0:
            # By the clock, and not by when a tick came by; what was missed is not made up for.
            self.at += every if late < every else every + late
            for ids in self.work.due():
                self.work.enqueue(*ids)


class Ticker:
    """Sweeps twice a second, queues the periodic work at its intervals; rides out what it needs being away."""

    def __init__(self, config: Settings) -> None:
        self._sweep = Sweep()
        self._lock: Lock = queues.redis.lock("ravada:ticker", timeout=LOCK_SECONDS, thread_local=False)
        self._turns = [Turn(work) for work in periodic_work(config)]

    def tick(self) -> None:
        """Do what is due, if this ticker holds the lock."""
        try:
            if not self._holds_lock():
                return
            with guarded(_tell("sweep"), work="sweep"):
                self._sweep.run()
            for turn in self._turns:
                beats.beat()
                with guarded(_tell(turn.work.name), work=turn.work.name):
                    turn.take_if_due()
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
    with app.app_context(), log_kept():
        ticker = Ticker(settings())
        for _tick in until_stopped(TICK_SECONDS):
            ticker.tick()
        ticker.release()


if __name__ == "__main__":
    run(create_app())
