"""What was asked for in bulk goes in waves that its nodes bear, and gives way to what a person waits for there."""

import time
from collections.abc import Callable

from sqlalchemy import select

from ravada_web.config import settings
from ravada_web.extensions import db
from ravada_web.models import Node, Operation, OperationState
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import CREATED_CLONES, STARTED_CLONES
from ravada_web.services.transaction import read_again

# A guest that boots keeps a processor busy, so a wave is as many as its node has processors: at least so many, and not
# more than a job starts in a few seconds, for other nodes' waves wait for the same workers.
SMALLEST_WAVE, LARGEST_WAVE = 2, 8
# libvirt and a guest's first seconds take about a processor each; beyond this, starts wait for libvirt's own locks.
MOST_SIDE_BY_SIDE = 4
# A launch takes about a second; one that takes longer waits for its node, and not for us. Those on other nodes share at
# least the product's own host with us, which may be a node too.
GIVE_WAY_SECONDS, ELSEWHERE_SECONDS = 5.0, 1.0
POLL_SECONDS = 0.1
_LAUNCHES = (*kinds_on(STARTED_CLONES), *kinds_on(CREATED_CLONES))


def batch_size(kind: str, node: Node) -> int:
    """How many of a node's clones one operation of this kind works on."""
    most = settings().clone_batch
    if kind == "clones_start":
        return min(most, max(SMALLEST_WAVE, min(node.cpus or SMALLEST_WAVE, LARGEST_WAVE)))
    return most


def side_by_side(node: Node) -> int:
    """How many of a node's clones one operation starts at a time: the next one begins when one of them runs."""
    return max(1, min(node.cpus or 1, MOST_SIDE_BY_SIDE))


def give_way(handle: Handle, pass_time: Callable[[float], None] = time.sleep) -> None:
    """Where this was asked for in bulk, let pass what people wait for on the same node, and, for a moment, launches
    elsewhere; raises as `Handle.check` does. `pass_time` lets so many seconds pass, or fewer.

    It is bounded, so that a node with many users still gets on with it.
    """
    begun = time.monotonic()
    while not handle.awaited and time.monotonic() - begun < _patience(handle.node_id):
        pass_time(POLL_SECONDS)
        handle.check()


def _patience(node_id: int | None) -> float:
    """For how many seconds to give way to what people wait for now."""
    read_again()
    here, launch = Operation.node_id == node_id, Operation.kind.in_(_LAUNCHES)
    unfinished = Operation.state.in_((OperationState.WAITING, OperationState.RUNNING))
    query = select(Operation.node_id).where(Operation.awaited, unfinished, here | launch)
    places = set(db.session.scalars(query))
    if node_id in places:
        return GIVE_WAY_SECONDS
    return ELSEWHERE_SECONDS if places else 0.0
