"""Doing an operation in a job: claim it, do the work, record how it ended; and the handle that the work gets."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, MessageError, message
from ravada_web.messages.foreign import printable
from ravada_web.models import Operation, OperationState, attempt_id, now
from ravada_web.services.operations.kinds import KINDS
from ravada_web.services.operations.processes import this_process
from ravada_web.services.transaction import hold_lock, transaction

log = structlog.get_logger()
REPORT_EVERY = 0.5


class Superseded(Exception):
    """The operation was handed to another attempt while this one ran: leave everything to that one."""


class Cancelled(Exception):
    """The operation was cancelled."""


@dataclass
class Handle:
    """What the work sees of its operation: ids, and how to report progress and check whether to go on."""

    operation_id: int
    attempt: int
    kind: str
    node_id: int | None
    base_id: int | None
    user_id: int | None
    awaited: bool
    params: dict[str, Any]
    result: dict[str, Any] = field(default_factory=dict)
    # Set by work that has only asked for its outcome: this is watched until then, and no worker waits for it.
    watched_until: datetime | None = None
    _reported: float = field(default_factory=time.monotonic)

    @property
    def token(self) -> str:
        """Names what this attempt makes, so that no other attempt meets it."""
        return attempt_id(self.operation_id, self.attempt)

    def check(self) -> None:
        """Check, before each step that destroys or publishes, that this attempt still owns the operation.

        Raises Superseded or Cancelled.
        """
        db.session.rollback()
        query = select(Operation.attempt, Operation.state, Operation.cancel_asked)
        row = db.session.execute(query.where(Operation.id == self.operation_id)).one_or_none()
        if row is None or row.attempt != self.attempt or row.state != OperationState.RUNNING:
            raise Superseded
        if row.cancel_asked:
            raise Cancelled

    def progress(self, percent: float, step: Message | str = NOTHING) -> None:
        """Show how far the work is, at most twice a second; raises as `check` does."""
        if time.monotonic() - self._reported < REPORT_EVERY:
            return
        self._reported = time.monotonic()
        self.check()
        with self.writing() as session:
            statement = update(Operation).where(Operation.id == self.operation_id)
            session.execute(statement.values(progress=int(percent), **({"message": step} if step else {})))

    @contextmanager
    def writing(self, lock: str = "") -> Iterator[Session]:
        """A transaction in which nobody hands the operation on: the one way in which its work writes. `lock` is that of
        a choice which is made in it (`hold_lock`).

        Raises Superseded, and nothing is written, where this attempt has been left behind.
        """
        with transaction() as session:
            if lock:
                hold_lock(session, lock)
            query = select(Operation.id).where(
                Operation.id == self.operation_id,
                Operation.attempt == self.attempt,
                Operation.state == OperationState.RUNNING,
            )
            if session.scalar(query.with_for_update(key_share=True)) is None:
                raise Superseded
            yield session


Work = Callable[[Handle], None]


def run(operation_id: int, attempt: int, work: Work) -> None:
    """Do one attempt of an operation, if it is still to be done: the body of every job that has an operation.

    What is expected to go wrong fails the operation with its message; anything else does so too, with the
    exception's, and is raised on for the log.
    """
    handle = _claim(operation_id, attempt)
    if handle is None:
        log.debug("nothing to do", operation=operation_id, attempt=attempt)
        return
    with structlog.contextvars.bound_contextvars(operation=operation_id, attempt=attempt, kind=handle.kind):
        try:
            work(handle)
        except Superseded:
            db.session.rollback()
            log.warning("superseded")
        except Cancelled:
            _end(handle, OperationState.CANCELLED, message("operations.cancelled"))
        except MessageError as error:
            if isinstance(error, InvalidInput):
                handle.result["field"] = next(iter(error.fields))
            log.warning("failed", reason=error.message.to_json())
            _end(handle, OperationState.FAILED, error.message)
        except Exception as error:
            log.exception("unexpected")
            _end(handle, OperationState.FAILED, message("operations.unexpected", error=printable(repr(error))))
            raise
        else:
            _end(handle, OperationState.WATCHED if handle.watched_until else OperationState.DONE, NOTHING)


def _claim(operation_id: int, attempt: int) -> Handle | None:
    """Take the operation for this attempt; None when another attempt, or nobody, is to do it."""
    with transaction() as session:
        statement = update(Operation).where(
            Operation.id == operation_id,
            Operation.attempt == attempt,
            Operation.state == OperationState.WAITING,
        )
        values = {"state": OperationState.RUNNING, "started_at": now(), "worker": this_process(), "error": NOTHING}
        claimed = session.execute(statement.values(**values))
        if isinstance(claimed, CursorResult) and claimed.rowcount == 0:
            return None
        row = session.get_one(Operation, operation_id)
        return Handle(row.id, attempt, row.kind, row.node_id, row.base_id, row.user_id, row.awaited, dict(row.params))


def _end(handle: Handle, state: OperationState, error: Message) -> None:
    db.session.rollback()
    with transaction() as session:
        row = session.get_one(Operation, handle.operation_id, with_for_update={"key_share": True})
        if row.attempt != handle.attempt or row.state != OperationState.RUNNING:
            return
        row.result = handle.result
        if state == OperationState.WATCHED:
            row.state, row.worker, row.watched_until = state, "", handle.watched_until
            row.watched_from = row.asked_at = now()
        else:
            end(session, row, state, error)


def end(session: Session, row: Operation, state: OperationState, error: Message = NOTHING) -> None:
    """Write how an operation ended; what it worked on is freed where that was not by being done."""
    row.state, row.error, row.finished_at = state, error, now()
    if state == OperationState.DONE:
        row.progress = 100
    else:
        KINDS[row.kind].subject.release(session, row, error)
