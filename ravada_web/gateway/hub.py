"""What is known here of changes: each topic's last number, and the streams to wake when it grows."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ravada_web import beats
from ravada_web.gateway.rows import Rows
from ravada_web.guard import guarded
from ravada_web.messages import Message
from ravada_web.services import changes
from ravada_web.services.live import digests as live_digests
from ravada_web.services.live import subscriptions

log = structlog.get_logger()
# A topic is sent to pages at most this often; changes in between are sent together.
EVENT_SECONDS = 0.8
RECONNECT_SECONDS = 1.0
STANDSTILLS = frozenset({subscriptions.STANDSTILL, subscriptions.STANDS_STILL})
STANDSTILL_SECONDS = 1.0
# What digests are taken of: a change of these kinds of rows makes them stale.
DIGESTED = {name for kind in ("desktops", "clone") for name in subscriptions.HEARS[kind]}


def hears(topic: str) -> tuple[str, ...]:
    """The kinds of rows whose changes may concern a topic."""
    kind, dash, _number = topic.partition("-")
    return subscriptions.HEARS[kind] if dash else (topic,)


def _passed_over(_reason: Message) -> None:
    """What one publication says that makes no sense is for no page."""


def is_digested(topic: str) -> bool:
    """Whether a topic is sent only when a digest of what it shows has changed."""
    return topic.startswith(("desktops-", "clone-"))


class Hub:
    """Listens to Redis and wakes the streams after each change.

    `number` is the last change's, the same on every host. `step` counts what was learned here, digests included:
    a stream asks what came after its last step.
    """

    def __init__(self, redis_url: str, rows: Rows) -> None:
        self._redis = Redis.from_url(redis_url, decode_responses=True)
        self._rows = rows
        self._numbers: dict[str, int] = {}
        self._steps: dict[str, int] = {}
        self._digests: dict[str, str] = {}
        self._watchers: dict[str, int] = {}
        self._stale = asyncio.Event()
        self._still: tuple[str, ...] = ()
        self._away = False
        self.number = 0
        self.step = 0
        self.wakers: set[Callable[[], None]] = set()

    def changed_since(self, topic: str, step: int, by_rows: bool = False) -> bool:
        """Whether the topic has changed since that step, by its digest where it has one; `by_rows`: whether any rows
        that it hears of have."""
        known = (topic, *hears(topic)) if by_rows or not is_digested(topic) else (topic,)
        return any(self._steps.get(name, 0) > step for name in known)

    def may_have_changed_since(self, topic: str, number: int) -> bool:
        """The same for a new page: by the rows that concern it, as there is no earlier digest. A number higher than the
        last one is from before Redis was restarted.
        """
        if topic in STANDSTILLS:
            return bool(self._still) == (topic == subscriptions.STANDSTILL)
        names = (topic, *hears(topic))
        return number > self.number or any(self._numbers.get(name, 0) > number for name in names)

    async def watch(self, topics: Collection[str]) -> None:
        """Begin to take digests of these topics, where they have any; `unwatch` ends it, also where this failed."""
        fresh = []
        for topic in filter(is_digested, topics):
            self._watchers[topic] = self._watchers.get(topic, 0) + 1
            if topic not in self._digests:
                fresh.append(topic)
        if fresh:
            self._digests |= await self._rows.run(live_digests.digests, fresh)

    def unwatch(self, topics: Collection[str]) -> None:
        """The stream that watched these has ended."""
        for topic in filter(is_digested, topics):
            self._watchers[topic] -= 1
            if not self._watchers[topic]:
                del self._watchers[topic]
                self._digests.pop(topic, None)

    async def run(self) -> None:
        """Listen until cancelled; without Redis, try again and again: what was missed is read then."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_digests())
            tasks.create_task(self._watch_standstill())
            while True:
                try:
                    await self._listen()
                except (RedisError, OSError) as error:
                    log.warning("redis is away, open pages ask by themselves", error=str(error))
                    self._away = True
                except Exception:
                    log.warning("changes cannot be read, subscribing again", exc_info=True)
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with self._redis.pubsub() as subscription:
            await subscription.subscribe(changes.CHANNEL)
            async for message in subscription.listen():
                if message["type"] == "subscribe":  # at first, and whenever the client has reconnected by itself
                    self._away = False
                    await self._read_all()
                elif message["type"] == "message":
                    with guarded(_passed_over, said=message["data"][:200]):
                        number, *topics = message["data"].split(" ")
                        self._record({topic: int(number) for topic in topics})

    async def _read_all(self) -> None:
        """Read the topics' numbers. Changes while Redis was away were not published: all may have changed."""
        numbers: Mapping[Any, Any] = await self._redis.hgetall(changes.TOPICS)
        self.number = int(await self._redis.get(changes.NUMBER) or 0)
        self._numbers = {topic: int(number) for topic, number in numbers.items() if number.isdecimal()}
        self._stale.set()
        self._wake(changes.KINDS)

    def _record(self, numbers: Mapping[str, int]) -> None:
        self._numbers.update(numbers)
        self.number = max(self.number, *numbers.values())
        if not DIGESTED.isdisjoint(numbers):
            self._stale.set()
        self._wake(numbers)

    def _wake(self, topics: Iterable[str]) -> None:
        self.step += 1
        self._steps.update(dict.fromkeys(topics, self.step))
        for wake in self.wakers:
            wake()

    async def _watch_standstill(self) -> None:
        """Tell all pages of what stands still, and no more: by the host's own memory, whatever else is away."""
        while True:
            names = [process.name for process in beats.processes() if process.still]
            still = (*names, "redis") if self._away else tuple(names)
            if still != self._still:
                self._still = still
                self._wake(STANDSTILLS)
            await asyncio.sleep(STANDSTILL_SECONDS)

    async def _read_digests(self) -> None:
        """After changes, compare what people's desktops look like with what they looked like."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            watched = list(self._watchers)
            if watched:
                try:
                    self._compare(await self._rows.run(live_digests.digests, watched))
                except Exception:
                    log.warning("digests not taken, the next change takes them", exc_info=True)
            await asyncio.sleep(EVENT_SECONDS)

    def _compare(self, digests: Mapping[str, str]) -> None:
        known = self._digests
        changed = [topic for topic, digest in digests.items() if known.get(topic, digest) != digest]
        known.update({topic: digest for topic, digest in digests.items() if topic in self._watchers})
        if changed:
            self._wake(changed)

    async def close(self) -> None:
        """Close the connection to Redis."""
        await self._redis.aclose()
