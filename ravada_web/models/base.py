"""Bases, their versions and disks, the nodes that may run them, and their replicas."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.clock import now
from ravada_web.extensions import db
from ravada_web.models.node import Node
from ravada_web.models.types import Id, Moment, Name, Sentence, Size, Word, Words
from ravada_web.models.user import User


class BaseState(StrEnum):
    """`imported`: known, not yet cloneable. `ready`: a version is prepared."""

    IMPORTED = "imported"
    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"


class ReplicaState(StrEnum):
    """DESIGN: wanted → copying(%) → verifying → ready, failed(reason), removing."""

    WANTED = "wanted"
    COPYING = "copying"
    VERIFYING = "verifying"
    READY = "ready"
    FAILED = "failed"
    REMOVING = "removing"


class FileKind(StrEnum):
    """What a file of a version is: a disk, or the variables of a UEFI firmware (boot entries, Secure Boot's keys)."""

    DISK = "disk"
    NVRAM = "nvram"


class Base(db.Model):
    """A template of desktops. `template_xml` is its domain, stripped of all identity; memory in MiB."""

    __tablename__ = "bases"
    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    description: Mapped[Sentence]
    state: Mapped[Word] = mapped_column(default=BaseState.IMPORTED)
    reason: Mapped[Words]
    template_xml: Mapped[str] = mapped_column(Text)
    memory_mib: Mapped[Size]
    vcpus: Mapped[int]
    nics: Mapped[int] = mapped_column(default=1)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"))
    # The files it was imported from: [{"target", "path", "format"}], and "kind" where it is no disk (FileKind); read
    # again when a version is prepared.
    source_disks: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    # What it needs of a node: [{"kind", "value"}] (ravada_web.needs); None for one imported before this was kept.
    needs: Mapped[list[dict[str, str]] | None] = mapped_column(JSON)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[Moment] = mapped_column(default=now)
    # What users are offered: whether everybody may create a desktop from it, and what such a desktop is.
    offered_to_all: Mapped[bool] = mapped_column(default=False)
    offers_volatile: Mapped[bool] = mapped_column(default=False)
    users_may_delete: Mapped[bool] = mapped_column(default=False)
    users_may_refuse: Mapped[bool] = mapped_column(default=False)
    # Whether its volatile clones are made again on other nodes when theirs dies.
    remakes: Mapped[bool] = mapped_column(default=True)
    # Whether its persistent clones that fell with their node are started again when that is back.
    restarts: Mapped[bool] = mapped_column(default=False)

    offers: Mapped[list["BaseOffer"]] = relationship(cascade="all, delete-orphan")
    node: Mapped[Node] = relationship()
    created_by: Mapped[User | None] = relationship()
    versions: Mapped[list["BaseVersion"]] = relationship(
        back_populates="base", cascade="all, delete-orphan", order_by="BaseVersion.number"
    )
    allowed: Mapped[list["AllowedNode"]] = relationship(cascade="all, delete-orphan")

    @property
    def current(self) -> "BaseVersion | None":
        """The newest prepared version, the one that new clones are made from."""
        return next((v for v in reversed(self.versions) if v.prepared_at), None)


class AllowedNode(db.Model):
    """A tick in a base's Base tab: this node may run its clones."""

    __tablename__ = "allowed_nodes"
    base_id: Mapped[int] = mapped_column(ForeignKey("bases.id", ondelete="CASCADE"), primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True)


class BaseOffer(db.Model):
    """A base is offered to a group or to a user."""

    __tablename__ = "base_offers"
    id: Mapped[Id]
    base_id: Mapped[int] = mapped_column(ForeignKey("bases.id", ondelete="CASCADE"), index=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)


class BaseVersion(db.Model):
    """One prepared state of a base's disks and NVRAM, numbered from 1; its files never change again."""

    __tablename__ = "base_versions"
    __table_args__ = (UniqueConstraint("base_id", "number"),)
    id: Mapped[Id]
    base_id: Mapped[int] = mapped_column(ForeignKey("bases.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    prepared_at: Mapped[Moment | None]
    base: Mapped[Base] = relationship(back_populates="versions")
    files: Mapped[list["BaseDisk"]] = relationship(
        back_populates="version", cascade="all, delete-orphan", order_by="BaseDisk.target", lazy="selectin"
    )
    replicas: Mapped[list["Replica"]] = relationship(back_populates="version", cascade="all, delete-orphan")

    @property
    def disks(self) -> list["BaseDisk"]:
        """Its disks, in the order of their targets; clones have an overlay of each."""
        return [file for file in self.files if file.kind == FileKind.DISK]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


class BaseDisk(db.Model):
    """One file of a version: a disk, or its NVRAM. Sizes in bytes; `blocks` are the SHA-256 of each `block_size` piece,
    in order."""

    __tablename__ = "base_disks"
    __table_args__ = (UniqueConstraint("version_id", "target"),)
    id: Mapped[Id]
    version_id: Mapped[int] = mapped_column(ForeignKey("base_versions.id", ondelete="CASCADE"), index=True)
    kind: Mapped[Word] = mapped_column(default=FileKind.DISK)
    target: Mapped[Word]
    file_name: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    virtual_size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    block_size: Mapped[int]
    blocks: Mapped[list[str]] = mapped_column(JSON, deferred=True)
    version: Mapped[BaseVersion] = relationship(back_populates="files")


class Replica(db.Model):
    """A version's files on one node, in `directory` ("" until they first were there); `progress` is the copy's, 0 to
    100. `stamps` are theirs when they were last known to be whole, by name; a file that has another one since is looked
    at again. `operation_id` is the operation that brings or removes it, or did so last; after
    `failures` in a row it is tried again by itself at `retry_at` (None: not before somebody asks)."""

    __tablename__ = "replicas"
    __table_args__ = (UniqueConstraint("version_id", "node_id"),)
    id: Mapped[Id]
    version_id: Mapped[int] = mapped_column(ForeignKey("base_versions.id", ondelete="CASCADE"))
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"), index=True)
    state: Mapped[Word] = mapped_column(default=ReplicaState.WANTED)
    progress: Mapped[int] = mapped_column(default=0)
    reason: Mapped[Words]
    directory: Mapped[str] = mapped_column(Text)
    stamps: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    operation_id: Mapped[int | None] = mapped_column(ForeignKey("operations.id", ondelete="SET NULL"), index=True)
    failures: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[Moment | None]
    version: Mapped[BaseVersion] = relationship(back_populates="replicas")
    node: Mapped[Node] = relationship()
