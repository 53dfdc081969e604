"""How long what we need may keep us waiting: a page a moment, what nobody looks at much longer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import has_request_context
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

Answer = TypeVar("Answer")
# After an answer of Redis that did not come, no page asks for so many seconds.
PAUSE_SECONDS = 3.0


@dataclass(frozen=True)
class Limits:
    """Seconds: for an answer of Redis; for a connection to the database, a sign of life of it, a statement, a lock."""

    redis: float
    connect: int
    ping: float
    statement: float
    lock: float


PAGES = Limits(redis=0.4, connect=2, ping=0.7, statement=2.5, lock=2.3)
OTHERS = Limits(redis=5.0, connect=10, ping=10.0, statement=600.0, lock=10.0)


def present() -> Limits:
    """The limits for what is done now: a request's, or the longer ones."""
    return PAGES if has_request_context() else OTHERS


class Breaker(Retry):
    """Tries a lost connection once more, at once. Who waited for an answer in vain spares the others the same wait:
    for PAUSE_SECONDS they are told so at once. Raises redis's own errors."""

    def __init__(self) -> None:
        super().__init__(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        self.reset()

    def reset(self) -> None:
        """Ask again from now on."""
        self._asks_again = 0.0

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Breaker":
        """All connections have the same one: redis-py copies what it is given."""
        return self

    def call_with_retry(self, do: Callable[[], Answer], *args: Any, **options: Any) -> Answer:
        """Returns what `do` returns."""
        if time.monotonic() < self._asks_again:
            raise RedisConnectionError("Redis did not answer a moment ago")
        try:
            return super().call_with_retry(do, *args, **options)
        except RedisTimeoutError:
            self._asks_again = time.monotonic() + PAUSE_SECONDS
            raise
