"""Looking after guests that were asked to shut down: one short job for all of them, each node in a thread of its own.

It sees who is off, and presses the power buttons of the others again. A node that takes its time delays no other one.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import structlog
from redis.exceptions import RedisError
from sqlalchemy import and_, or_, select
from sqlalchemy.exc import SQLAlchemyError

from ravada_web.errors import DatabaseBusy
from ravada_web.extensions import db, queues
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.health import read_health
from ravada_web.models import Clone, CloneState, Node, Observed, Operation, OperationState, Trust
from ravada_web.services.batches import grouped
from ravada_web.services.clones import shutdowns
from ravada_web.services.clones.shutdowns import Seen
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import MOVED_CLONE, RESTARTED_CLONES, STOPPED_CLONES

log = structlog.get_logger()
LIBVIRT_SECONDS = 1.5
# A node that has not answered by then is looked at again by the next job.
ROUND_SECONDS = 4.0
# One look at a time is queued or under way, by a mark in Redis: where nodes hang, or checks are late, looks do not pile
# up. One that died leaves the mark behind for so long.
MARK, MARK_SECONDS = "ravada:shutdowns", 15


@dataclass(frozen=True)
class Look:
    """What looking at a node needs of its rows: its libvirt ("" is not asked), the operations that are watched there,
    and the UUIDs of the domains whose buttons are to be pressed again."""

    uri: str
    operation_ids: Sequence[int]
    to_press: Sequence[str]


def due() -> list[Sequence[int]]:
    """The ids of all shutdowns that are watched, for one job; nothing where there is none, or while a job is at it."""
    kinds = (*kinds_on(STOPPED_CLONES), *kinds_on(RESTARTED_CLONES))
    # A move waits for other things, too.
    shut_down = select(Clone.operation_id).where(Clone.state == CloneState.STOPPING)
    moves = and_(Operation.kind.in_(kinds_on(MOVED_CLONE)), Operation.id.in_(shut_down))
    of_ours = or_(Operation.kind.in_(kinds), moves)
    watched = select(Operation.id).where(Operation.state == OperationState.WATCHED, of_ours)
    ids = db.session.scalars(watched).all()
    return [ids] if ids and queues.redis.set(MARK, 1, nx=True, ex=MARK_SECONDS) else []


def watch(operation_ids: Sequence[int]) -> None:
    """Look at the nodes of these operations, and write what was seen."""
    try:
        _look_at(_looks(operation_ids))
    finally:
        with suppress(RedisError):
            queues.redis.delete(MARK)


def _looks(operation_ids: Sequence[int]) -> list[Look]:
    query = select(Operation).where(Operation.id.in_(operation_ids), Operation.state == OperationState.WATCHED)
    rows = db.session.scalars(query.order_by(Operation.id)).all()
    again = [row.id for row in rows if shutdowns.press_is_due(row)]
    left = (Clone.operation_id.in_(operation_ids), Clone.state == CloneState.STOPPING)
    asked = db.session.execute(select(Clone.operation_id, Clone.node_id, Clone.uuid).where(*left)).all()
    to_press = grouped((row for row in asked if row[0] in again), lambda row: row[1])
    # A move is an operation of the node that it goes to.
    where = {operation_id: node_id for operation_id, node_id, _uuid in asked}
    of_nodes = grouped(rows, lambda row: where.get(row.id, row.node_id))
    nodes = {node.id: node for node in db.session.scalars(select(Node).where(Node.id.in_(of_nodes)))}
    looks = [
        Look(
            uri=_uri(nodes.get(node_id or 0)),
            operation_ids=[row.id for row in alike],
            to_press=[uuid for _operation_id, _node_id, uuid in to_press.get(node_id or 0, ())],
        )
        for node_id, alike in of_nodes.items()
    ]
    db.session.rollback()
    return looks


def _uri(node: Node | None) -> str:
    """Where the node's libvirt is asked; "" where it does not answer by what is known. Never raises."""
    if node is None or node.trust != Trust.PINNED or node.observed == Observed.DOWN:
        return ""
    try:
        return endpoints.libvirt_uri(endpoints.target(node))
    except Exception:
        log.exception("node without an address", node=node.name)
        return ""


def _look_at(looks: Sequence[Look]) -> None:
    answers: SimpleQueue[tuple[Look, Seen | None]] = SimpleQueue()
    for look in looks:
        threading.Thread(target=lambda look=look: answers.put((look, _ask(look))), daemon=True).start()
    waiting = list(looks)
    until = time.monotonic() + ROUND_SECONDS
    while waiting:
        try:
            look, seen = answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            look, seen = waiting[0], None
        if look in waiting:
            waiting.remove(look)
            for operation_id in look.operation_ids:
                _settle(operation_id, seen)


def _ask(look: Look) -> Seen | None:
    """What the node says, its buttons pressed; None where it does not answer. Never raises."""
    if not look.uri:
        return None
    try:
        with open_connection(look.uri, deadline=LIBVIRT_SECONDS, within=ROUND_SECONDS) as connection:
            seen = Seen(read_health(connection).domains)
            to_press = [uuid for uuid in look.to_press if not seen.is_off(uuid)]
            return Seen(seen.domains, bool(to_press), domains.shut_down_all(connection, to_press))
    except Exception as error:  # noqa: BLE001  whatever it is, it is this node's alone
        log.info("node not seen", operations=look.operation_ids, error=repr(error))
        return None


def _settle(operation_id: int, seen: Seen | None) -> None:
    """Write what was seen; what goes wrong with one operation ends that one alone."""
    try:
        shutdowns.settle(operation_id, seen)
    except (SQLAlchemyError, DatabaseBusy) as error:
        log.warning("not settled, the next look will", operation=operation_id, error=str(error))
    except Exception as error:
        log.exception("not settled", operation=operation_id)
        with suppress(SQLAlchemyError, DatabaseBusy):
            shutdowns.fail(operation_id, error)
