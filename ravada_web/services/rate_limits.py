"""Failures counted in Redis, and in this process alone while Redis is away."""

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, RateLimiter
from redis.exceptions import RedisError

from ravada_web.config import settings
from ravada_web.extensions import limiter

log = structlog.get_logger()
# What counts while Redis is away: each process for itself.
_alone = FixedWindowRateLimiter(MemoryStorage())
# How long failures are remembered that make the next wait longer.
REMEMBERED_SECONDS = 7 * 86_400
Result = TypeVar("Result")


class Counter(Protocol):
    """Failures of one kind, for one key, and what they cost whoever tries next."""

    def wait(self) -> int:
        """Returns for how many seconds nothing is looked at; 0 to go on."""

    def fail(self) -> None:
        """Count a failure."""

    def forget(self) -> None:
        """Forget what failed, as it went well at last."""


@dataclass(frozen=True)
class Growing:
    """The limit's failures are free. Each one more closes the key, for the limit's time at first and twice as long each
    time, `longest` seconds at most; a week after the first one all is forgotten."""

    limit: RateLimitItem
    key: tuple[str, ...]
    longest: int

    def wait(self) -> int:
        """Returns for how many seconds the key is still closed."""
        return _counted(lambda counts: _left(counts, self._closed))

    def fail(self) -> None:
        """Count a failure, and close the key where that is one too many."""
        _counted(self._fail)

    def _fail(self, counts: RateLimiter) -> None:
        beyond = counts.storage.incr(self._failed, REMEMBERED_SECONDS) - self.limit.amount
        if beyond >= 0:
            seconds = min(self.longest, self.limit.get_expiry() << min(beyond, 30))
            counts.storage.incr(self._closed, seconds)

    def forget(self) -> None:
        """Forget the key's failures."""
        _counted(lambda counts: [counts.storage.clear(name) for name in (self._failed, self._closed)])

    @property
    def _failed(self) -> str:
        return self.limit.key_for("failed", _unreadable(*self.key))

    @property
    def _closed(self) -> str:
        return self.limit.key_for("closed", _unreadable(*self.key))


def _left(counts: RateLimiter, name: str) -> int:
    """For how many seconds that mark still stands."""
    if not counts.storage.get(name):
        return 0
    return max(1, round(counts.storage.get_expiry(name) - time.time()))


@dataclass(frozen=True)
class Slowing:
    """Once the limit's failures are used up, one attempt a second is looked at until its time is over: many share this
    key, and none of them is to be kept out for the others' failures."""

    limit: RateLimitItem
    key: tuple[str, ...]

    def wait(self) -> int:
        """Returns 1 where this second's attempt was another's."""
        if _counted(lambda counts: counts.test(self.limit, _unreadable(*self.key))):
            return 0
        return 0 if first_in("second", "slowed", *self.key) else 1

    def fail(self) -> None:
        """Count a failure."""
        _counted(lambda counts: counts.hit(self.limit, _unreadable(*self.key)))

    def forget(self) -> None:
        """Nothing: the failures are others', too."""


def seconds_to_wait(counters: Sequence[Counter]) -> int:
    """Returns for how many seconds nothing is looked at; 0 to go on."""
    return next((seconds for one in counters if (seconds := one.wait())), 0)


def count_failure(counters: Sequence[Counter]) -> None:
    """Count a failure."""
    for one in counters:
        one.fail()


def first_in_a_minute(*key: str) -> bool:
    """Whether this happens for the first time within a minute: so that nobody can fill the audit log."""
    return first_in("minute", "once", *key)


def first_in(span: str, *key: str) -> bool:
    """Whether this happens for the first time within a span ("second", "minute")."""
    return _counted(lambda counts: counts.hit(parse(f"1 per {span}"), _unreadable(*key)))


def _unreadable(*parts: str) -> str:
    """What is counted, as a key that tells nobody names, addresses or the words of devices' cookies."""
    return hmac.new(settings().secret_key().encode(), "\0".join(parts).encode(), hashlib.sha256).hexdigest()


def _counted(ask: Callable[[RateLimiter], Result]) -> Result:
    try:
        return ask(limiter.limiter)
    except RedisError as error:
        log.warning("counting alone", error=str(error))
        return ask(_alone)
