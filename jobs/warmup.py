"""What every job would load again, loaded once, before the fork.

A work horse is a fresh fork: mapping classes to tables, compiling the statements of a job and loading the texts' locale
cost it 100 to 150 ms, a good part of a desktop's start. They are kept by the process that has done them once.
"""

from contextlib import suppress

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import configure_mappers

from ravada_web.errors import RavadaError
from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Operation
from ravada_web.services.clones import batch as clone_batch
from ravada_web.services.clones import power_work
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle, Superseded, run
from ravada_web.services.transaction import transaction


class _Warm:
    """Whether it was done, here or in the process that forked this one."""

    done = False


def warm() -> None:
    """Do, for no operation, what a clone's start does. Where there is no clone yet, the next call does it again.

    Nothing is changed: every statement is bound to an operation number that none has.
    """
    if not _Warm.done:
        _Warm.done = _start_nothing()


def _start_nothing() -> bool:
    configure_mappers()
    try:
        run(0, 0, power_work.start)
        with transaction() as session:
            clone_batch.write_state(session, 0, [0], CloneState.STOPPED)
        with suppress(Superseded), _no_operation(0).writing():
            pass
        clone_batch.still_ours(_no_operation(0), 0)
        with suppress(Superseded):
            _no_operation(0).check()
        return _read_rows()
    except (SQLAlchemyError, RavadaError):
        return False
    finally:
        db.session.remove()


def _no_operation(operation_id: int) -> Handle:
    """A handle to read with, of an attempt that never was."""
    return Handle(operation_id, 0, "", None, None, None, False, {})


def _read_rows() -> bool:
    """Read clones with all that a start looks at: loading rows compiles what their relations are read by."""
    operation_id = db.session.scalar(select(Clone.operation_id).where(Clone.operation_id.is_not(None)).limit(1))
    if operation_id is None:
        return False
    rows = clone_batch.claimed_clones(_no_operation(operation_id), *CloneState)
    if rows:
        endpoints.target(rows[0].node)
    with transaction() as session:
        session.get(Operation, operation_id)
    return bool(rows) and bool(_("Start"))
