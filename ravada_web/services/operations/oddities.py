"""What lies in Redis where RQ and we look, and can be none of ours, is taken out: whoever reads it next, RQ's workers
included, finds what they can read. What it was for is queued again by the sweep."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import structlog
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.rate_limit import RateLimitRegistry
from rq.worker_registration import REDIS_WORKER_KEYS

from ravada_web.extensions import queues
from ravada_web.services.operations.kinds import QUEUES
from ravada_web.services.operations.registries import WORKER
from ravada_web.services.redis_answers import answers, words

log = structlog.get_logger()
_REGISTRIES = ("wip", "failed", "finished", "deferred", "scheduled", "canceled", "ready")
# How an entry is taken out, by the kind of its key.
_READ: Mapping[str, Callable[[Any, str], object]] = {
    "set": lambda pipe, key: pipe.smembers(key),
    "list": lambda pipe, key: pipe.lrange(key, 0, -1),
    "zset": lambda pipe, key: pipe.zrange(key, 0, -1),
}
_TAKE_OUT: Mapping[str, Callable[[Any, str, bytes], object]] = {
    "set": lambda pipe, key, entry: pipe.srem(key, entry),
    "list": lambda pipe, key, entry: pipe.lrem(key, 0, entry),
    "zset": lambda pipe, key, entry: pipe.zrem(key, entry),
}


def take_out() -> int:
    """Take out what cannot be read; returns how many keys and entries. Raises RedisError where Redis is away."""
    kinds = dict(_shared_kinds())
    gone = _remove_other_kinds(kinds)
    entries = _entries(kinds)
    gone += _remove_entries(kinds, entries, lambda key, entry: not _is_entry(key, entry))
    limits = words(entries.get(RateLimitRegistry.rl_keys_key))
    of_limits = {key: kind for limit in limits for key, kind in _kinds_of_limit(limit)}
    gone += _remove_other_kinds(of_limits) + _mend_limits(limits)
    gone += _remove_entries(of_limits, _entries(of_limits), lambda _key, entry: not words([entry]))
    jobs = {Job.key_for(id_): "hash" for name in QUEUES for id_ in words(entries.get(f"rq:queue:{name}"))}
    workers = {key: "hash" for key in words(entries.get(REDIS_WORKER_KEYS)) if key.startswith(WORKER)}
    gone += _remove_other_kinds(jobs | workers)
    if gone:
        log.warning("taken out of Redis: nobody here has put it there", count=gone)
    return gone


def _shared_kinds() -> Iterator[tuple[str, str]]:
    """The keys that all share, and of which kind each is."""
    yield REDIS_WORKER_KEYS, "set"
    yield RateLimitRegistry.rl_keys_key, "set"
    yield "rq:queues", "set"
    for name in QUEUES:
        yield f"{REDIS_WORKER_KEYS}:{name}", "set"
        yield f"rq:queue:{name}", "list"
        yield IntermediateQueue.get_intermediate_queue_key(f"rq:queue:{name}"), "list"
        yield from ((f"rq:{registry}:{name}", "zset") for registry in _REGISTRIES)


def _kinds_of_limit(limit: str) -> Iterator[tuple[str, str]]:
    registry = RateLimitRegistry(limit, queues.redis)
    yield registry.config_key, "hash"
    yield registry.allowed_key, "zset"
    yield registry.rate_limited_key, "zset"


def _remove_other_kinds(kinds: Mapping[str, str]) -> int:
    with queues.redis.pipeline(transaction=False) as pipe:
        for key in kinds:
            pipe.type(key)
        given = answers(pipe)
    other = [key for key, kind in zip(kinds, given, strict=True) if kind.decode() not in ("none", kinds[key])]
    if other:
        queues.redis.delete(*other)
    return len(other)


def _entries(kinds: Mapping[str, str]) -> dict[str, Collection[bytes]]:
    keys = [key for key, kind in kinds.items() if kind in _READ]
    with queues.redis.pipeline(transaction=False) as pipe:
        for key in keys:
            _READ[kinds[key]](pipe, key)
        return {key: entries or () for key, entries in zip(keys, answers(pipe), strict=True)}


def _remove_entries(
    kinds: Mapping[str, str], entries: Mapping[str, Collection[bytes]], odd: Callable[[str, bytes], bool]
) -> int:
    gone = [(key, entry) for key, some in entries.items() for entry in set(some) if odd(key, entry)]
    with queues.redis.pipeline(transaction=False) as pipe:
        for key, entry in gone:
            _TAKE_OUT[kinds[key]](pipe, key, entry)
        answers(pipe)
    return len(gone)


def _is_entry(key: str, entry: bytes) -> bool:
    """Whether that can be an entry of a shared key."""
    if not (word := "".join(words([entry]))):
        return False
    if key.startswith(REDIS_WORKER_KEYS):
        return word.startswith(WORKER)
    # One that runs is named with its execution.
    return not key.startswith("rq:wip:") or word.count(":") == 1


def _mend_limits(limits: Collection[str]) -> int:
    """A limit whose figure cannot be read lets one job through at a time, until the next job brings it along."""
    registries = [RateLimitRegistry(limit, queues.redis) for limit in limits]
    with queues.redis.pipeline(transaction=False) as pipe:
        for registry in registries:
            pipe.hget(registry.config_key, "concurrency")
        given = answers(pipe)
    odd = [
        registry for registry, said in zip(registries, given, strict=True) if said is not None and not said.isdigit()
    ]
    for registry in odd:
        queues.redis.hset(registry.config_key, "concurrency", 1)
    return len(odd)
