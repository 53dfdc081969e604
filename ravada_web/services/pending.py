"""What waits in a session for the end of its transaction: the jobs to queue, the changes to publish, the audit log's
lines. Each kind is a Pending; all are kept by one rule.

A session's events are fired for savepoints as well as for the whole, and a savepoint that a failed statement has undone
is only closed. So what was added in a savepoint belongs to what is around it once that savepoint is committed; what is
still its own when it ends is dropped, however it ends; and what is left leaves with the commit of the whole.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

_PENDING = "ravada_pending"
Item = TypeVar("Item")


class Pending(Generic[Item]):
    """What is done at the end of the transaction in which it was added, and never where that is undone."""

    def __init__(self, name: str) -> None:
        self._name = name

    def add(self, session: Session, *items: Item) -> None:
        """Keep these until the transaction ends, or the savepoint that is under way is undone."""
        savepoint = session.get_nested_transaction()
        session.info.setdefault(_PENDING, {}).setdefault(self._name, []).extend((savepoint, item) for item in items)

    def take(self, session: Session) -> Sequence[Item]:
        """Returns what was added and not undone, in its order, when the whole is committed; () at a savepoint's end."""
        if session.in_nested_transaction():
            return ()
        return [item for _savepoint, item in session.info.get(_PENDING, {}).pop(self._name, ())]


def listen() -> None:
    """Bind to the session."""
    if not event.contains(Session, "after_commit", _committed):
        event.listen(Session, "after_commit", _committed)
        event.listen(Session, "after_transaction_end", _ended)


def _committed(session: Session) -> None:
    """What was added in a savepoint that is committed is from now on that of what is around it."""
    if done := session.get_nested_transaction():
        around = _around(done)
        for kept in _kinds(session):
            kept[:] = [(around if savepoint is done else savepoint, item) for savepoint, item in kept]


def _around(savepoint: SessionTransaction) -> SessionTransaction | None:
    """The savepoint around this one; None where it is in the whole transaction."""
    outer = savepoint.parent
    while outer is not None and not outer.nested:
        outer = outer.parent
    return outer


def _ended(session: Session, ended: SessionTransaction) -> None:
    """What is still a savepoint's own was undone with it; and nothing outlives the whole transaction."""
    if ended.parent is None:
        session.info.pop(_PENDING, None)
    elif ended.nested:
        for kept in _kinds(session):
            kept[:] = [(savepoint, item) for savepoint, item in kept if savepoint is not ended]


def _kinds(session: Session) -> Sequence[list[Any]]:
    return list(session.info.get(_PENDING, {}).values())
