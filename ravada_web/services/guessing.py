"""Guessing slowed: failed attempts are counted where they come from, so that who guesses is stopped and nobody else.

Counted are failures alone, and only those that were looked at: an attempt that is refused for its number costs no
hash. A browser in which the person has signed in before is known by its device cookie and has a counter of its own:
whoever hammers a name, even from the same address, does not lock its owner out there (OWASP's device cookies).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import structlog
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from ravada_web.extensions import limiter
from ravada_web.services.operations import settings

log = structlog.get_logger()
# What counts while Redis is away: each process for itself.
_alone = FixedWindowRateLimiter(MemoryStorage())


@dataclass(frozen=True)
class Counter:
    """Failures of one kind, for one key, and how many are too many."""

    limit: RateLimitItem
    key: tuple[str, ...]


def password_counters(name: str, address: str, device: str) -> list[Counter]:
    """What a failed password for that name, from that address, counts to; `device` is its cookie's word, or ""."""
    known = name.lower()[:64]
    if device:
        return [Counter(parse(settings().login_limit), ("device", device))]
    return [
        Counter(parse(settings().login_limit), ("name and address", known, address)),
        Counter(parse(settings().login_limit_per_name), ("name", known)),
        Counter(parse(settings().login_limit_per_address), ("address", address)),
    ]


def code_counters(user_id: int, address: str) -> list[Counter]:
    """What a wrong code of the second factor counts to."""
    return [
        Counter(parse("5 per minute"), ("code", str(user_id), address)),
        Counter(parse("30 per hour"), ("code", str(user_id))),
    ]


def allowed(counters: Sequence[Counter]) -> bool:
    """Whether none of them is full."""
    return all(_ask("test", one.limit, *one.key) for one in counters)


def failed(counters: Sequence[Counter]) -> None:
    """Count a failure."""
    for one in counters:
        _ask("hit", one.limit, *one.key)


def first_in_a_minute(*key: str) -> bool:
    """Whether this happens for the first time within a minute: so that nobody can fill the audit log."""
    return _ask("hit", parse("1 per minute"), "once", *key)


def _ask(verb: Literal["test", "hit"], limit: RateLimitItem, *key: str) -> bool:
    try:
        return getattr(limiter.limiter, verb)(limit, *key)
    except RedisError as error:
        log.warning("counting alone", error=str(error))
        return getattr(_alone, verb)(limit, *key)
