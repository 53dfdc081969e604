"""Before a refusal stands, its node is looked at again: a pool, a network or a bridge may be there by now."""

import time
from collections.abc import Callable, Collection
from typing import TypeVar

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Node, Observed
from ravada_web.services.clones.errors import NodeRefuses, NoRoom
from ravada_web.services.clones.obstacles import Obstacle
from ravada_web.services.operations import outbox
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import is_writing, read_again

Result = TypeVar("Result")
# Placement's reasons, and the obstacles, that people mend on the node itself.
REASONS = frozenset({"pool_off", "disk_unknown", "lacks"})
# Placement's reasons of nodes that rest, among others.
OUT = frozenset({"not_enabled", "not_up"})
OBSTACLES = frozenset({Obstacle.NO_POOL, Obstacle.LACKS})
# The job that looks at nodes, by its dotted name.
JOB = "jobs.nodes.look"
# So long is waited for what is seen.
PATIENCE_SECONDS, POLL_SECONDS = 3.0, 0.05


def persuaded(act: Callable[[], Result], nodes: Callable[[], Collection[int]] = tuple) -> Result:
    """Act; where nodes refuse for what may have been mended since they were looked at, look, and act once more. Where
    there is no room for it, and a node rests, it is kept that there was not.

    `nodes` says which they are where the refusal does not. Raises as acting does.
    """
    try:
        return _persuaded(act, nodes)
    except NoRoom as refusal:
        if not is_writing():
            verdicts = refusal.decision.verdicts
            reserve.note_lack([each.node_id for each in verdicts if each.reason and each.reason.code in OUT])
        raise


def _persuaded(act: Callable[[], Result], nodes: Callable[[], Collection[int]]) -> Result:
    try:
        return act()
    except NoRoom as refusal:
        verdicts = refusal.decision.verdicts
        if not look([verdict.node_id for verdict in verdicts if verdict.reason and verdict.reason.code in REASONS]):
            raise
    except NodeRefuses as refusal:
        if refusal.obstacle not in OBSTACLES or not look(nodes()):
            raise
    return act()


def look(node_ids: Collection[int]) -> bool:
    """Have checks look at these nodes now; whether they did, so that asking again is worth it.

    It takes at most PATIENCE_SECONDS, and no time inside a transaction, which would not see what was written.
    """
    if not node_ids or is_writing():
        return False
    up = select(Node.id, Node.rounds_begun).where(Node.id.in_(node_ids), Node.observed == Observed.UP)
    before = dict(db.session.execute(up).all())
    if not before:
        return False
    ids = list(before)
    outbox.queue("checks").enqueue(
        JOB, args=ids, ttl=int(PATIENCE_SECONDS), job_timeout=60, result_ttl=0, failure_ttl=3600
    )
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        read_again()
        read = db.session.execute(select(Node.id, Node.facts_round).where(Node.id.in_(ids)))
        if all(number > before[node_id] for node_id, number in read):
            return True
        time.sleep(POLL_SECONDS)
    return True
