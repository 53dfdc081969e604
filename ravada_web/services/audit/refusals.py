"""Refused requests: one line a minute for each person, with how many there were.

The first is written at once. Those of the next minute are counted in Redis, and become one line when it is over.
"""

import structlog
from redis import Redis
from redis.exceptions import RedisError

from ravada_web.extensions import db, queues
from ravada_web.messages import message
from ravada_web.models import Event, User
from ravada_web.services import rate_limits
from ravada_web.services.audit import origin
from ravada_web.services.transaction import note

log = structlog.get_logger()
# The ids of those whose refusals wait, and of each how many do, what the last of them was, and from where.
_WAITING = "ravada:denied"
# What nobody writes any more, as its person is gone, does not stay for ever.
_KEPT_SECONDS = 86_400


def record_refusal(actor: User, what: str) -> None:
    """Record a refused request, with those of this person that wait; at most once a minute."""
    address = origin.address.get()
    _wait(actor.id, what, address)
    if _has_turn(actor.id):
        _write(actor, what, address)


def waiting() -> bool:
    """Whether there are refusals that a line is still to be written of."""
    return bool(queues.redis.scard(_WAITING))


def write_waiting() -> None:
    """Write a line for each person whose minute is over. Raises RedisError."""
    for member in queues.redis.smembers(_WAITING):
        user_id = int(member)
        user = db.session.get(User, user_id)
        if user is None:
            queues.redis.srem(_WAITING, user_id)
        elif _has_turn(user_id):
            _write(user, "", "")


def _has_turn(user_id: int) -> bool:
    return rate_limits.first_in_a_minute("not allowed", str(user_id))


def _key(user_id: int) -> str:
    return f"{_WAITING}:{user_id}"


def _wait(user_id: int, what: str, address: str) -> None:
    try:
        with queues.redis.pipeline() as pipe:
            pipe.hincrby(_key(user_id), "count", 1)
            pipe.hset(_key(user_id), mapping={"what": what, "address": address})
            pipe.expire(_key(user_id), _KEPT_SECONDS)
            pipe.sadd(_WAITING, user_id)
            pipe.execute()
    except RedisError as error:
        log.warning("refusals are not counted", error=str(error))


def _write(actor: User, what: str, address: str) -> None:
    """Write one line of all that wait; without Redis, of this one alone."""
    count = 1
    try:
        found = _taken(queues.redis, actor.id)
        if not found and not what:
            return  # another process has written them
        if found:
            count, what, address = int(found["count"]), found["what"], found["address"]
    except RedisError as error:
        log.warning("refusals are not counted", error=str(error))
    text = message("general.denied", count=count, request=what)
    line = {"actor": actor.name, "action": "refused", "object_kind": "user", "object_id": actor.id}
    line |= {"object_name": actor.name, "text": text, "address": address, "result": "refused"}
    note(lambda session: session.add(Event(**line)))


def _taken(redis: Redis, user_id: int) -> dict[str, str]:
    with redis.pipeline() as pipe:
        pipe.hgetall(_key(user_id))
        pipe.delete(_key(user_id))
        pipe.srem(_WAITING, user_id)
        found = pipe.execute()[0]
    return {name.decode(): value.decode() for name, value in found.items()}
