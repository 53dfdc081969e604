"""Screenshots of running clones: taken by a job, kept in Redis for a while, shown by pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError

from ravada_web.clock import now
from ravada_web.errors import NotFound
from ravada_web.extensions import queues
from ravada_web.messages import message
from ravada_web.models import User
from ravada_web.services.audit import events
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.consoles.rights import is_onlooker, require_view
from ravada_web.services.transaction import transaction

# A picture that is older says nothing about the desktop of now.
KEPT_SECONDS = 600


def _key(clone_id: int) -> str:
    return f"ravada:picture:{clone_id}"


def store(clone_id: int, webp: bytes) -> bool:
    """Keep a clone's picture (WebP), with the moment it was taken; False where it shows what it showed before."""
    same = picture(clone_id) == webp
    if not same:
        queues.redis.hset(_key(clone_id), mapping={"at": int(now().timestamp()), "picture": webp})
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


@dataclass(frozen=True)
class Shown:
    """A screenshot (WebP), and whether it is of the viewer's own desktop."""

    picture: bytes
    own: bool


def show(viewer: User, clone_id: int) -> Shown:
    """A clone's screenshot, by the right by which its screen may be viewed; that somebody else looks at it is recorded,
    at most once an hour. Raises NotFound and NotAllowed."""
    clone = clone_list.get(viewer, clone_id)
    require_view(viewer, clone)
    stored, own = picture(clone.id), not is_onlooker(viewer, clone)
    if stored is None:
        raise NotFound(message("consoles.no_picture"))
    if not own:
        with transaction() as session:
            events.record_once_an_hour(session, viewer, "look_at_picture", clone)
    return Shown(stored, own)


def picture(clone_id: int) -> bytes | None:
    """A clone's picture, if there is one."""
    try:
        stored = queues.redis.hget(_key(clone_id), "picture")
    except RedisError:
        return None
    return stored if isinstance(stored, bytes) else None
