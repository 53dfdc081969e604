"""What ended attempts of operations have left in pools: part-made files and folders, named after their attempt."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import select

from ravada_web.clock import recent
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import Message
from ravada_web.models import Node, Operation, OperationState
from ravada_web.remote import files
from ravada_web.remote.target import Target
from ravada_web.services.batches import batched
from ravada_web.services.nodes import endpoints
from ravada_web.services.transaction import read_again

log = structlog.get_logger()
# How often nodes are swept where operations have ended early since: each is swept a few times.
SWEEP_SECONDS = 60.0
LOOK_BACK = timedelta(seconds=3 * SWEEP_SECONDS)
# So many nodes are worth a job of their own.
A_JOB = 50


def sweep(where: Target, directories: Sequence[str]) -> None:
    """Delete what ended attempts have left in these folders of a node. What a live attempt makes is left to it, and so
    is what no operation of ours accounts for. Raises RemoteError."""
    paths = files.list_temporary(endpoints.workspace(), where, directories)
    files.remove_leftovers(endpoints.workspace(), where, ended(paths))


def ended(paths: Collection[str]) -> list[str]:
    """Those of these paths whose attempts have ended, or were handed to another."""
    attempts = {path: (int(match[1]), int(match[2])) for path in paths if (match := files.LEFTOVER.fullmatch(path))}
    ids = {operation_id for operation_id, _attempt in attempts.values() if operation_id < 1 << 31}
    read_again()
    rows = {row.id: row for row in db.session.scalars(select(Operation).where(Operation.id.in_(ids)))}
    return sorted(path for path, (id_, attempt) in attempts.items() if id_ in rows and _over(rows[id_], attempt))


def _over(row: Operation, attempt: int) -> bool:
    return row.over or row.attempt > attempt


def due() -> list[Sequence[int]]:
    """Returns the ids of nodes that are up and where operations have ended early of late, those of one job together."""
    early = Operation.state.in_([OperationState.FAILED, OperationState.CANCELLED]) | (Operation.attempt > 1)
    on_it = select(Operation.node_id).where(early, recent(Operation.finished_at, LOOK_BACK))
    query = select(Node.id).where(Node.id.in_(on_it), Node.is_reachable).order_by(Node.id)
    return list(batched(db.session.scalars(query).all(), A_JOB))


def sweep_nodes(node_ids: Sequence[int]) -> None:
    """Sweep the pools of these nodes; one that does not answer is passed over: its next count of pools does it."""
    nodes = db.session.scalars(select(Node).where(Node.id.in_(node_ids))).all()
    folders: list[tuple[Target, list[str]]] = []
    for node in nodes:
        with guarded(partial(_stay, node.name), node=node.name):
            folders.append((endpoints.target(node), [pool.path for pool in node.pools if pool.active]))
    for where, directories in folders:
        with guarded(partial(_stay, where.name), node=where.name):
            if directories:
                sweep(where, directories)


def _stay(node: str, reason: Message) -> None:
    """They stay until the next sweep."""
    log.info("leftovers stay for now", node=node, error=reason.to_json())
