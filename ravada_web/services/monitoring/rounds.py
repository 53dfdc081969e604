"""Which nodes are to be checked now, and which of them by one job."""

import math
from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import false, func, not_, select, update
from sqlalchemy.orm import Session

from ravada_web.clock import now
from ravada_web.extensions import db
from ravada_web.models import Access, Node, Observed, ServiceState
from ravada_web.services.batches import batched
from ravada_web.services.lots import write_lot
from ravada_web.services.monitoring import alerts
from ravada_web.services.operations import outbox, registries

QUEUE = "checks"
# So many nodes are worth a job of their own, and so many a part of a round.
A_JOB, A_PART, MOST_PARTS = 50, 10, 10
# How often it is seen whether a node that was given up answers again.
GIVEN_UP_PAUSE = timedelta(minutes=1)


class Rounds:
    """All nodes once an interval, a part of them about every second: pages need not wait for a burst.

    Where the workers do not keep up, the next part waits, so that all nodes are checked less often alike.
    """

    def __init__(self, interval: float) -> None:
        self._parts, self._next = max(1, min(MOST_PARTS, int(interval))), 0
        self.pause = interval / self._parts

    def due(self) -> list[Sequence[int]]:
        """Returns the ids of the next part's nodes, those of one job together; [] while it has to wait."""
        if outbox.queue(QUEUE).count > 2 * _workers():
            return []
        lots = part(self._next, self._parts)
        self._next = (self._next + 1) % self._parts
        return lots


def begin(node_ids: Collection[int]) -> dict[int, int]:
    """Begin a round of checks of these nodes; returns its number for each that exists, before anything is asked of it.
    One whose row cannot be written now is left out.

    All that is written before has a lower number or this one's at most; what the round sees is newer than what had a
    lower one, by whatever clock.
    """
    begun: dict[int, int] = {}

    def write(session: Session, ids: Sequence[int]) -> None:
        # In one order everywhere: two rounds that share nodes wait for each other, and not both for one another.
        here = select(Node.id).where(Node.id.in_(ids)).order_by(Node.id).with_for_update(key_share=True)
        rows = update(Node).where(Node.id.in_(session.scalars(here).all()))
        numbers = rows.values(rounds_begun=Node.rounds_begun + 1).returning(Node.id, Node.rounds_begun)
        begun.update(session.execute(numbers).all())

    write_lot(sorted(node_ids), write, alerts.tell_unwritable)
    return begun


def part(number: int = 0, parts: int = 1) -> list[Sequence[int]]:
    """Returns the ids of the nodes that let us in and belong to that part, as many for each worker.

    Of those that are well this part; of few nodes the first part is all. Those that are not go apart, with the first
    part, and last: no healthy one waits for them.
    """
    db.session.rollback()
    # One that was given up is looked at now and then, and like any other once it answers.
    given_up = (Node.service_state == ServiceState.GIVEN_UP) & (Node.seen == Observed.DOWN)
    asleep = given_up & (Node.checked_at > now() - GIVEN_UP_PAUSE)
    query = select(Node.id, Node.observed).where(Node.access != Access.NONE, not_(func.coalesce(asleep, false())))
    query = query.order_by(Node.id)
    nodes = db.session.execute(query).all()
    parts = max(1, min(parts, len(nodes) // A_PART))
    well = [node_id for node_id, observed in nodes if observed == Observed.UP and node_id % parts == number]
    unwell = [node_id for node_id, observed in nodes if observed != Observed.UP and number == 0]
    return [*_lots(well), *_lots(unwell)]


def _lots(node_ids: list[int]) -> list[Sequence[int]]:
    size = max(A_JOB, math.ceil(len(node_ids) / _workers()))
    return list(batched(node_ids, size))


def _workers() -> int:
    return max(1, registries.worker_count(QUEUE))
