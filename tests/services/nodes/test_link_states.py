"""The states of links on their way through Redis: a node's words are sealed, and nobody else's are taken."""

import json

from flask import Flask

from ravada_web.extensions import queues
from ravada_web.messages import NOTHING, message
from ravada_web.remote.links import LinkState
from ravada_web.services.nodes import link_states
from tests.support.redis_words import everything

SAID = "<script>of a node</script>"


def test_what_is_published_is_read_and_nobody_reads_it_in_redis(app: Flask) -> None:
    reason = message("remote.broke", name="n1", host="192.0.2.1", port=22, said=SAID)
    link_states.publish({1: LinkState(False, 5.0, reason), 2: LinkState(True, 6.0, NOTHING)})
    assert link_states.read() == {1: link_states.Shown(False, 5.0, reason), 2: link_states.Shown(True, 6.0, NOTHING)}
    assert b"of a node" not in everything(queues.redis)


def test_what_others_wrote_there_is_not_taken(app: Flask) -> None:
    assert link_states.read() is None
    for forged in (b"", b"\xff", b"no token", json.dumps({"at": 1, "links": {"1": [True, 1, "yes"]}}).encode()):
        queues.redis.set(link_states.KEY, forged)
        assert link_states.read() is None
