"""Screenshots of running clones: taken by a job, kept in Redis for a while, shown by pages."""

import time
from collections.abc import Sequence

from redis.exceptions import RedisError

from ravada_web.extensions import queues

# A picture that is older says nothing about the desktop of now.
KEPT_SECONDS = 600


def _key(clone_id: int) -> str:
    return f"ravada:picture:{clone_id}"


def store(clone_id: int, webp: bytes) -> bool:
    """Keep a clone's picture (WebP), with the moment it was taken; False where it shows what it showed before."""
    same = picture(clone_id) == webp
    if not same:
        queues.redis.hset(_key(clone_id), mapping={"at": int(time.time()), "picture": webp})
    queues.redis.expire(_key(clone_id), KEPT_SECONDS)
    return not same


def times(clone_ids: Sequence[int]) -> dict[int, int]:
    """When the pictures of these clones were taken (seconds since the epoch), of those that have one."""
    try:
        with queues.redis.pipeline(transaction=False) as pipe:
            for clone_id in clone_ids:
                pipe.hget(_key(clone_id), "at")
            moments = pipe.execute()
    except RedisError:
        return {}
    return {clone_id: int(at) for clone_id, at in zip(clone_ids, moments, strict=True) if at}


def picture(clone_id: int) -> bytes | None:
    """A clone's picture, if there is one."""
    try:
        stored = queues.redis.hget(_key(clone_id), "picture")
    except RedisError:
        return None
    return stored if isinstance(stored, bytes) else None
