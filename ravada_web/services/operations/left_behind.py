"""Rows that say work is under way when that work is over: they are freed, whatever has left them so."""

from functools import partial

import structlog
from sqlalchemy import Select, select, union

from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import Message, message
from ravada_web.models import IN_WORK, OVER, Base, BaseState, Clone, Operation
from ravada_web.services.operations.kinds import KINDS, kinds_on
from ravada_web.services.operations.subjects import PREPARED_BASE, Clones
from ravada_web.services.transaction import transaction

log = structlog.get_logger()
_OVER = Operation.state.in_(OVER)
_IN_WORK = Clone.state.in_(IN_WORK)


def settle() -> None:
    """Free the rows of operations that are over, and clones in work that no operation has any more."""
    db.session.rollback()
    for operation_id in db.session.scalars(_owners()).all():
        with guarded(partial(_not_freed, operation_id), operation=operation_id):
            _free(operation_id)
    if db.session.scalar(select(Clone.id).where(_IN_WORK, Clone.operation_id.is_(None)).limit(1)) is not None:
        with transaction() as session:
            Clones.free(session, Clone.operation_id.is_(None), message("operations.left_unfinished"))


def _owners() -> Select[int]:
    """The ids of operations that are over while rows of theirs are in work."""
    of_clones = select(Operation.id).join(Clone, Clone.operation_id == Operation.id).where(_IN_WORK, _OVER)
    of_bases = select(Operation.id).join(Base, Base.id == Operation.base_id)
    prepares = Operation.kind.in_(kinds_on(PREPARED_BASE))
    at_work = select(Operation.id).where(Operation.base_id == Base.id, prepares, ~_OVER).correlate(Base).exists()
    of_bases = of_bases.where(prepares, _OVER, Base.state == BaseState.PREPARING, ~at_work)
    return select(union(of_clones, of_bases).subquery().c.id)


def _free(operation_id: int) -> None:
    with transaction() as session:
        row = session.get(Operation, operation_id, with_for_update={"key_share": True})
        if row is not None and row.over:  # and has not been retried since
            KINDS[row.kind].subject.release(session, row, row.error or message("operations.left_unfinished"))
            log.warning("left in work, freed", operation=row.id, state=row.state)


def _not_freed(operation_id: int, why: Message) -> None:
    log.warning("left in work, and not freed", operation=operation_id, reason=why.to_json())
