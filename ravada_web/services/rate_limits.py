"""Failures counted in Redis, and in this process alone while Redis is away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from ravada_web.extensions import limiter

log = structlog.get_logger()
# What counts while Redis is away: each process for itself.
_alone = FixedWindowRateLimiter(MemoryStorage())


@dataclass(frozen=True)
class Counter:
    """Failures of one kind, for one key, and how many are too many."""

    limit: RateLimitItem
    key: tuple[str, ...]


def allowed(counters: Sequence[Counter]) -> bool:
    """Whether none of them is full."""
    return all(_count("test", one.limit, *one.key) for one in counters)


def count_failure(counters: Sequence[Counter]) -> None:
    """Count a failure."""
    for one in counters:
        _count("hit", one.limit, *one.key)


def first_in_a_minute(*key: str) -> bool:
    """Whether this happens for the first time within a minute: so that nobody can fill the audit log."""
    return _count("hit", parse("1 per minute"), "once", *key)


def _count(verb: Literal["test", "hit"], limit: RateLimitItem, *key: str) -> bool:
    try:
        return getattr(limiter.limiter, verb)(limit, *key)
    except RedisError as error:
        log.warning("counting alone", error=str(error))
        return getattr(_alone, verb)(limit, *key)
