"""How the nodes' links are: published by the links process through Redis, read by pages.

Why a link is not up is often a node's own words: they are sealed on their way.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from redis.exceptions import RedisError

from ravada_web.config import settings
from ravada_web.extensions import queues
from ravada_web.identity.sealing import Purpose, seal, unseal
from ravada_web.messages import Message
from ravada_web.remote.links import LinkState

KEY = "ravada:links"
# The links process publishes every second; what is older is no longer known.
KEPT_SECONDS = 10


@dataclass(frozen=True)
class Shown:
    """A node's link: whether it is up, since when (seconds since the epoch), and if not, why."""

    up: bool
    since: float
    reason: Message


def publish(states: Mapping[int, LinkState]) -> None:
    """Publish how all links are now. Without Redis nobody reads it, and the links go on."""
    lines = {str(node_id): [state.up, state.since, state.reason.to_json()] for node_id, state in states.items()}
    sealed = seal(json.dumps({"links": lines}), Purpose.LINK_STATES, settings().secret_key())
    try:
        queues.redis.set(KEY, sealed, ex=KEPT_SECONDS)
    except RedisError:
        return


def read() -> dict[int, Shown] | None:
    """The links by node id; None where no links process of ours has published any for a while."""
    try:
        stored = queues.redis.get(KEY)
    except RedisError:
        return None
    sealed = stored.decode(errors="replace") if isinstance(stored, bytes) else ""
    opened = unseal(sealed, Purpose.LINK_STATES, settings().secret_key())
    if opened is None:
        return None
    lines = json.loads(opened)["links"].items()
    return {int(node_id): Shown(up, since, Message.from_json(reason)) for node_id, (up, since, reason) in lines}
