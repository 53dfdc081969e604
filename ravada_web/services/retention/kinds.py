"""The one table of what grows: each kind's age in days, and what of it may go. All else that grows goes with what it
belongs to, or is a line of the audit log, whose age is here and whose way to the archive is services.audit.archiving's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ravada_web.config import Kept, settings
from ravada_web.models import (
    Clone,
    Console,
    Decision,
    MovePlan,
    NodeSample,
    Operation,
    OperationState,
    PlannedMove,
    PoolSample,
    Replica,
    Roster,
    UserSession,
)
from ravada_web.services.nodes.history import STEPS
from ravada_web.services.sign_in import sessions

# Days that rows are kept, where the setting RAVADA_KEEP_DAYS says nothing else.
DAYS: Mapping[Kept, float] = {
    "operations": 90,
    "consoles": 90,
    "decisions": 90,
    "sessions": 30,
    "samples": 93,
    "events": 730,
}


@dataclass(frozen=True)
class Kind:
    """Rows of one table: `age` names how long they are kept, from `moment` on. Those that `may_go` are not referred to
    and not at work."""

    name: str
    age: Kept
    table: type[Any]
    moment: InstrumentedAttribute[Any]
    may_go: tuple[ColumnElement[bool], ...] = ()


def before(age: Kept, today: datetime) -> datetime:
    """Rows of that name from before this moment may go."""
    return today - timedelta(days=settings().keep_days.get(age, DAYS[age]))


def kinds() -> tuple[Kind, ...]:
    """All kinds but the audit log's lines. A table's last row stays: its number is given to no other."""
    return (
        Kind("operations", "operations", Operation, Operation.finished_at, _settled_operations()),
        Kind("planned_moves", "operations", PlannedMove, PlannedMove.ended_at, (_is_of_a_former_plan(),)),
        Kind(
            "move_plans",
            "operations",
            MovePlan,
            MovePlan.ended_at,
            (_has_later(MovePlan), ~exists().where(PlannedMove.plan_id == MovePlan.id)),
        ),
        Kind("consoles", "consoles", Console, Console.closed_at, (_has_later(Console),)),
        Kind(
            "decisions",
            "decisions",
            Decision,
            Decision.made_at,
            (~exists().where(Clone.decision_id == Decision.id), _has_later(Decision)),
        ),
        Kind("rosters", "decisions", Roster, Roster.made_at, (~exists().where(Decision.roster_id == Roster.id),)),
        Kind("sessions", "sessions", UserSession, UserSession.seen_at, (sessions.expired(),)),
        Kind("node_samples", "samples", NodeSample, NodeSample.at, (NodeSample.step == STEPS[-1],)),
        Kind("pool_samples", "samples", PoolSample, PoolSample.at, (PoolSample.step == STEPS[-1],)),
    )


def _settled_operations() -> tuple[ColumnElement[bool], ...]:
    """Those that are over, that no clone and no replica refers to, and that are not the last of their kind about their
    node and base: pages show it, and how long it took says how long the next one takes."""
    later = aliased(Operation)
    return (
        Operation.state.in_([OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED]),
        ~exists().where(Clone.operation_id == Operation.id),
        ~exists().where(Replica.operation_id == Operation.id),
        exists().where(
            later.kind == Operation.kind,
            later.node_id.is_not_distinct_from(Operation.node_id),
            later.base_id.is_not_distinct_from(Operation.base_id),
            later.id > Operation.id,
        ),
    )


def _is_of_a_former_plan() -> ColumnElement[bool]:
    """Of planned moves: their plan is over, and not the last one, which says what can come home."""
    later = aliased(MovePlan)
    over = exists().where(MovePlan.id == PlannedMove.plan_id, MovePlan.ended_at.is_not(None))
    return over & exists().where(later.id > PlannedMove.plan_id)


def _has_later(table: type[Any]) -> ColumnElement[bool]:
    later = aliased(table)
    return exists().where(later.id > table.id)
