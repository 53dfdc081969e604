"""What was asked for in bulk goes in waves that its nodes bear, and gives way to what a person waits for there."""

import time

from sqlalchemy import select

from ravada_web.config import settings
from ravada_web.extensions import db
from ravada_web.models import Node, Operation, OperationState
from ravada_web.services.operations.execution import Handle
from ravada_web.services.transaction import read_again

# A guest that boots keeps a processor busy, so a wave is as many as its node has processors: at least so many, and not
# more than a job starts in a few seconds, for other nodes' waves wait for the same workers.
SMALLEST_WAVE, LARGEST_WAVE = 2, 8
# A launch takes about a second; one that takes longer waits for its node, and not for us.
GIVE_WAY_SECONDS = 5.0
POLL_SECONDS = 0.1


def batch_size(kind: str, node: Node) -> int:
    """How many of a node's clones one operation of this kind works on."""
    most = settings().clone_batch
    if kind == "clones_start":
        return min(most, max(SMALLEST_WAVE, min(node.cpus or SMALLEST_WAVE, LARGEST_WAVE)))
    return most


def give_way(handle: Handle) -> None:
    """Where this was asked for in bulk, let pass first what a person waits for on the same node; raises as
    `Handle.check` does.

    It is bounded, so that a node with many users still gets on with it.
    """
    end = time.monotonic() + GIVE_WAY_SECONDS
    while not handle.awaited and _someone_waits(handle.node_id) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
        handle.check()


def _someone_waits(node_id: int | None) -> bool:
    read_again()
    query = select(Operation.id).where(
        Operation.node_id == node_id,
        Operation.awaited,
        Operation.state.in_((OperationState.WAITING, OperationState.RUNNING)),
    )
    return db.session.scalar(query.limit(1)) is not None
