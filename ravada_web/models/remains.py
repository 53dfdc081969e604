"""Remains: what is left standing on a node and must not live again there."""

from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.clock import now
from ravada_web.extensions import db
from ravada_web.models.base import BaseVersion
from ravada_web.models.node import Node
from ravada_web.models.types import Id, Moment, Name, Size, Word, Words


class Cause(StrEnum):
    """Why a clone does not live where this stands: it was deleted, or made again on another node, while its node was
    away; it has moved to another node, or has not in the end; it was given up with its node; no row knows it any more
    (an orphan); or it is being moved here, and lives where its row says until that is done. What is lost went with the
    disks of a host whose place another one took: nothing stands there any more, and its owner is to be told."""

    DELETED = "deleted"
    MADE_AGAIN = "made_again"
    MOVED = "moved"
    GIVEN_UP = "given_up"
    UNKNOWN = "unknown"
    ARRIVING = "arriving"
    LOST = "lost"


# Those that an administrator decides about, by hand.
UNDECIDED = (Cause.GIVEN_UP, Cause.UNKNOWN)
# Those that are ended and removed as soon as their node answers; what was given up is left to an administrator.
DOOMED = (Cause.DELETED, Cause.MADE_AGAIN, Cause.MOVED)


class RemainsKind(StrEnum):
    """What is left: a virtual machine with its files; or files alone, that were a clone's, a base's, or were being made
    by an operation."""

    MACHINE = "machine"
    CLONE_FILES = "clone_files"
    BASE_FILES = "base_files"
    UNFINISHED = "unfinished"


class Remains(db.Model):
    """A clone's domain and files on a node that is not, or not yet, its own: its row went or moved to another node, or
    is about to move here; and other files of ours that no row knows. The node must not bring them to life. `files` are
    absolute paths; what it was is kept in words too. `uuid` is the domain's; None of files alone.

    `attempts` to remove them were begun; after a failed one the next begins at `retry_at` (None: at the next check), or
    when the node returns. `dismissed`: the owner has read what became of the desktop; an orphan is to be ignored, by
    whom and since when, until it changes: until its `stamp` is another one.
    """

    __tablename__ = "remains"
    # Of one that moves on while a former node is away there is something on several nodes.
    __table_args__ = (UniqueConstraint("node_id", "uuid"),)
    id: Mapped[Id]
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"), index=True)
    kind: Mapped[Word] = mapped_column(default=RemainsKind.MACHINE)
    uuid: Mapped[str | None] = mapped_column(String(36))
    name: Mapped[Name]
    files: Mapped[list[str]] = mapped_column(JSON)
    macs: Mapped[list[str]] = mapped_column(JSON)
    version_id: Mapped[int | None] = mapped_column(ForeignKey("base_versions.id", ondelete="SET NULL"), index=True)
    base_name: Mapped[Name]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    owner_name: Mapped[Name]
    volatile: Mapped[bool] = mapped_column(default=False)
    cause: Mapped[Word]
    left_at: Mapped[Moment] = mapped_column(default=now)
    attempts: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[Moment | None]
    reason: Mapped[Words]
    dismissed: Mapped[bool] = mapped_column(default=False)
    ignored_by: Mapped[Name] = mapped_column(default="")
    ignored_at: Mapped[Moment | None]
    # As it was last seen: what its files take of the disk, in bytes, and when they were last written to, by its node's
    # clock; whether it ran; and a hash of all that.
    size: Mapped[Size | None]
    written_at: Mapped[Moment | None]
    runs: Mapped[bool] = mapped_column(default=False)
    stamp: Mapped[str] = mapped_column(String(64), default="")

    node: Mapped[Node] = relationship()
    version: Mapped[BaseVersion | None] = relationship()
