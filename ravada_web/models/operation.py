"""Operations (asked-for work, the queue's only truth), events (the audit log), and the locks of choosing."""

import re
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.clock import now
from ravada_web.extensions import db
from ravada_web.models.node import Node
from ravada_web.models.types import Id, Moment, Name, Word, Words
from ravada_web.models.user import User


class OperationState(StrEnum):
    """How far an operation is; the last three are its end.

    One that is watched has been asked for, and how it ends is looked at from time to time: no worker holds it.
    """

    WAITING = "waiting"
    RUNNING = "running"
    WATCHED = "watched"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


# States in which an operation has ended.
OVER = (OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED)


def attempt_id(operation_id: int, attempt: int) -> str:
    """The id of the job that may do this attempt of the operation, and of no other; what it makes is named by it."""
    return f"op-{operation_id}-{attempt}"


def operation_of(job_id: str) -> int | None:
    """The operation that a job does an attempt of; None for a job without one, such as a check."""
    match = re.fullmatch(r"op-([0-9]{1,18})-[0-9]+", job_id)
    return int(match[1]) if match else None


class Operation(db.Model):
    """One piece of asked-for work. `params` holds what the job needs beside ids; never a secret."""

    __tablename__ = "operations"
    id: Mapped[Id]
    kind: Mapped[Word] = mapped_column(index=True)
    title: Mapped[Words]
    state: Mapped[Word] = mapped_column(default=OperationState.WAITING, index=True)
    attempt: Mapped[int] = mapped_column(default=1)
    # How many of its attempts ended with the process that did them, since a person last asked for it.
    deaths: Mapped[int] = mapped_column(default=0)
    progress: Mapped[int] = mapped_column(default=0)
    message: Mapped[Words]
    error: Mapped[Words]
    cancel_asked: Mapped[bool] = mapped_column(default=False)
    # A person waits for it: it goes before what was asked for in bulk.
    awaited: Mapped[bool] = mapped_column(default=False)
    # How many things it works on; None where that is not known.
    items: Mapped[int | None] = mapped_column(default=1)
    params: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    result: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    worker: Mapped[str] = mapped_column(String(255), default="")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    node_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id", ondelete="SET NULL"), index=True)
    base_id: Mapped[int | None] = mapped_column(ForeignKey("bases.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[Moment] = mapped_column(default=now)
    started_at: Mapped[Moment | None]
    # Of one that is watched, or was: since when, when it was last asked for, and until when it may take.
    watched_from: Mapped[Moment | None]
    asked_at: Mapped[Moment | None]
    watched_until: Mapped[Moment | None]
    finished_at: Mapped[Moment | None] = mapped_column(index=True)

    user: Mapped[User | None] = relationship()
    node: Mapped[Node | None] = relationship()

    @property
    def job_id(self) -> str:
        """The id of the job that does the present attempt."""
        return attempt_id(self.id, self.attempt)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in OVER


class Event(db.Model):
    """One line of the audit log, to which the database itself lets lines only be added; names are kept, so that it
    reads after the object is gone. `result`: done, refused or failed.

    `digest` is the hash of the line and of the one before; like the id it is given to the line at the commit
    (services.audit.chain).
    """

    __tablename__ = "events"
    id: Mapped[Id]
    at: Mapped[Moment] = mapped_column(default=now, index=True)
    actor: Mapped[Name] = mapped_column(default="")
    action: Mapped[Word]
    object_kind: Mapped[Word]
    object_id: Mapped[int | None] = mapped_column(index=True)
    object_name: Mapped[Name] = mapped_column(default="")
    text: Mapped[Words]
    # From where it was asked for ("" is the product itself, or its command line), and what came of it.
    address: Mapped[Name] = mapped_column(default="")
    result: Mapped[Word] = mapped_column(default="done")
    digest: Mapped[str] = mapped_column(String(64))


class AuditChain(db.Model):
    """The ends of the audit log's chain, in one row: the last line (`head`), and the last one that went to the archive
    (`anchor`); 0 and "" before there is one."""

    __tablename__ = "audit_chain"
    id: Mapped[Id]
    head_id: Mapped[int] = mapped_column(default=0)
    head_digest: Mapped[str] = mapped_column(String(64), default="")
    anchor_id: Mapped[int] = mapped_column(default=0)
    anchor_digest: Mapped[str] = mapped_column(String(64), default="")


class Lock(db.Model):
    """A row to lock where a database has no lock of its own for a serial choice (PostgreSQL: FOR UPDATE)."""

    __tablename__ = "locks"
    name: Mapped[Name] = mapped_column(primary_key=True)
