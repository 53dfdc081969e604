"""What RQ keeps of queues, limits and workers, read in a few questions: entry by entry, since one that is odd must not
hide the others. All of it raises RedisError where Redis is away."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rq import Worker
from rq.rate_limit import RateLimitRegistry
from rq.utils import utcparse
from rq.worker_registration import REDIS_WORKER_KEYS

from ravada_web.extensions import queues
from ravada_web.services.redis_answers import answers, fields, words

# Where a worker's key keeps when it was heard of last, in seconds by the clock of Redis.
HEARD = "heard"
WORKER = Worker.redis_worker_namespace_prefix


@dataclass(frozen=True)
class WorkerRecord:
    """A worker as RQ keeps it. `heard_ago` is since when nothing was heard of it, by the clock of Redis; without it
    there is `heartbeat`, by its host's."""

    name: str
    hostname: str
    pid: int
    queues: tuple[str, ...]
    state: str
    job_id: str
    birth: datetime | None
    heartbeat: datetime | None
    heard_ago: timedelta | None


def worker_records() -> list[WorkerRecord]:
    """Returns the workers that Redis knows of and that can be read."""
    with queues.redis.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.smembers(REDIS_WORKER_KEYS)
        (seconds, _microseconds), members = answers(pipe)
    keys = [key for key in sorted(words(members)) if key.startswith(WORKER)]
    with queues.redis.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hgetall(key)
            pipe.srandmember(f"{key}:executions")
        given = answers(pipe)
    read = zip(keys, given[::2], given[1::2], strict=True)
    return [_record(key, fields(stored), job, seconds) for key, stored, job in read if stored]


def _record(key: str, stored: Mapping[str, str], job: bytes | None, seconds: int) -> WorkerRecord:
    heard = _number(stored.get(HEARD, ""))
    return WorkerRecord(
        name=key.removeprefix(WORKER),
        hostname=stored.get("hostname", ""),
        pid=_number(stored.get("pid", "")) or 0,
        queues=tuple(name for name in stored.get("queues", "").split(",") if name),
        state=stored.get("state", "?"),
        # An execution is named with its job.
        job_id="".join(words([job] if job else [])).partition(":")[0],
        birth=_moment(stored.get("birth", "")),
        heartbeat=_moment(stored.get("last_heartbeat", "")),
        heard_ago=None if heard is None else timedelta(seconds=max(0, seconds - heard)),
    )


def _number(said: str) -> int | None:
    """A number of seconds, or of a process; None for what can be neither."""
    return int(said) if said.isascii() and said.isdigit() and len(said) < 11 else None


def _moment(said: str) -> datetime | None:
    with suppress(ValueError, OverflowError):
        return utcparse(said).replace(tzinfo=UTC)
    return None


def worker_count(name: str) -> int:
    """Returns how many workers Redis knows of on the queue of that name."""
    with queues.redis.pipeline(transaction=False) as pipe:
        pipe.scard(f"{REDIS_WORKER_KEYS}:{name}")
        return answers(pipe)[0] or 0


def queued(names: Collection[str]) -> dict[str, list[str]]:
    """Returns the ids of the jobs in each of these queues, in their order."""
    with queues.redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.lrange(f"rq:queue:{name}", 0, -1)
        return dict(zip(names, map(words, answers(pipe)), strict=True))


@dataclass(frozen=True)
class Limited:
    """The ids of the jobs that a limit holds back, in their order, and of those that it lets through."""

    held: list[str]
    through: list[str]


def limited() -> dict[str, Limited]:
    """Returns what each limit holds back and lets through, by the limit's key ("node-N:build")."""
    with queues.redis.pipeline(transaction=False) as pipe:
        pipe.smembers(RateLimitRegistry.rl_keys_key)
        keys = words(answers(pipe)[0])
    registries = [RateLimitRegistry(key, queues.redis) for key in keys]
    with queues.redis.pipeline(transaction=False) as pipe:
        for registry in registries:
            pipe.zrange(registry.rate_limited_key, 0, -1)
            pipe.zrange(registry.allowed_key, 0, -1)
        lists = [words(ids) for ids in answers(pipe)]
    return {key: Limited(*pair) for key, *pair in zip(keys, lists[::2], lists[1::2], strict=True)}
