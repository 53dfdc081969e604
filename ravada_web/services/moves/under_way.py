"""Moves that are under way, as the pages of their desktops show them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from ravada_web.clock import age
from ravada_web.extensions import db
from ravada_web.models import OVER, Clone, Operation, User
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import MOVED_CLONE
from ravada_web.services.permissions import scopes

# Before so many percent nothing is said of the time that is left.
LEAST_PERCENT = 5
_KINDS = kinds_on(MOVED_CLONE)


@dataclass(frozen=True)
class UnderWay:
    """The move of a desktop: its operation, about how long it still takes, where that can be said, whether the viewer
    may know what it is about, such as the other node, and whether to cancel it."""

    operation: Operation
    left: timedelta | None
    known: bool
    may_cancel: bool


def of_clones(viewer: User, clones: Collection[Clone]) -> Mapping[int, UnderWay]:
    """The moves of those of these that are being moved, or shut down for it, by the clones' ids."""
    asked = {clone.operation_id: clone.id for clone in clones if clone.operation_id}
    ours = (Operation.id.in_(asked), Operation.kind.in_(_KINDS), Operation.state.not_in(OVER))
    query = select(Operation, scopes.operations(viewer), scopes.operations_to_control(viewer)).where(*ours)
    return {
        asked[row.id]: UnderWay(row, time_left(row.progress, age(row.started_at)), bool(known), bool(may_cancel))
        for row, known, may_cancel in (db.session.execute(query) if asked else ())
    }


def time_left(percent: int, passed: timedelta | None) -> timedelta | None:
    """About how long it takes if it goes on as it has by now; None where that is not known."""
    if passed is None or not LEAST_PERCENT <= percent < 100:
        return None
    seconds = passed.total_seconds() * (100 - percent) / percent
    step = 60 if seconds > 120 else 10
    return timedelta(seconds=step * max(1, round(seconds / step)))
