"""What moves may take of the network: what is set of a node is shared by all that move from or to it at the time."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from ravada_web.config import settings
from ravada_web.extensions import db
from ravada_web.models import Node, Operation, OperationState
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import MOVED_CLONE

# How often a move looks whether others have begun or ended.
LOOK_SECONDS = 2.0
_KINDS = kinds_on(MOVED_CLONE)


def share(ends: Collection[int], most: Mapping[int, int], under_way: Collection[Collection[int]]) -> int:
    """What a move between these two nodes may take, in MiB a second, at least 1; 0 for no limit. `most` is what all
    moves of each node may take together (0: no limit), `under_way` are the ends of all moves, this one among them."""
    each = [most[end] // max(1, sum(end in move for move in under_way)) for end in ends if most.get(end)]
    return max(1, min(each)) if each else 0


@dataclass
class Share:
    """What one move between two nodes may take now, by their ids."""

    source_id: int
    target_id: int
    _mib: int = 0
    _seen_at: float = float("-inf")

    def mib(self) -> int:
        """MiB a second, 0 for no limit; what was seen at most so long ago."""
        if time.monotonic() - self._seen_at >= LOOK_SECONDS:
            self._mib, self._seen_at = self._look(), time.monotonic()
        return self._mib

    def _look(self) -> int:
        ends = (self.source_id, self.target_id)
        nodes = db.session.execute(select(Node.id, Node.move_mib_per_second).where(Node.id.in_(ends))).all()
        default = settings().move_mib_per_second
        most = {id_: default if of_node is None else of_node for id_, of_node in nodes}
        running = (Operation.kind.in_(_KINDS), Operation.state == OperationState.RUNNING)
        moves = db.session.scalars(select(Operation.params).where(*running)).all() if any(most.values()) else []
        db.session.rollback()
        return share(ends, most, [(params.get("source_id"), params.get("target_id")) for params in moves])
