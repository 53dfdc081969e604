"""Nodes and their storage pools: what is wanted, what was seen last, and when."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.extensions import db
from ravada_web.models.types import Id, Moment, Name, Sentence, Word, now


class Wanted(StrEnum):
    """What the administrator wants of a node."""

    NEW = "new"
    ENABLED = "enabled"
    DRAINING = "draining"
    MAINTENANCE = "maintenance"
    DISABLED = "disabled"


class Observed(StrEnum):
    """What the last check saw: degraded is SSH without libvirt, down is no SSH."""

    UNKNOWN = "unknown"
    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


class Trust(StrEnum):
    """Whether the host key is the one that was accepted; `changed` quarantines the node."""

    PINNED = "pinned"
    CHANGED = "changed"


class Node(db.Model):
    """A host that runs virtual machines. Sizes in MiB; `cpu_load` from 0 to 1 of all cores."""

    __tablename__ = "nodes"
    __table_args__ = (UniqueConstraint("address", "port"),)
    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    address: Mapped[str] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(default=22)
    user: Mapped[Name] = mapped_column(default="root")
    local: Mapped[bool] = mapped_column(default=False)
    is_master: Mapped[bool] = mapped_column(default=False)
    runs_clones: Mapped[bool] = mapped_column(default=True)
    host_key: Mapped[str] = mapped_column(Text, default="")
    host_uuid: Mapped[str | None] = mapped_column(String(36), unique=True)

    wanted: Mapped[Word] = mapped_column(default=Wanted.ENABLED)
    observed: Mapped[Word] = mapped_column(default=Observed.UNKNOWN)
    trust: Mapped[Word] = mapped_column(default=Trust.PINNED)
    reason: Mapped[Sentence]
    last_seen_at: Mapped[Moment | None]
    checked_at: Mapped[Moment | None]

    clone_limit: Mapped[int | None]
    memory_reserve_mib: Mapped[int] = mapped_column(default=512)
    builds_at_once: Mapped[int] = mapped_column(default=2)
    # Where viewers of the users' own reach its displays; "" offers them on no address.
    display_address: Mapped[str] = mapped_column(String(255), default="")

    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    facts_at: Mapped[Moment | None]
    cpus: Mapped[int | None]
    cpu_load: Mapped[float | None]
    memory_total_mib: Mapped[int | None]
    memory_free_mib: Mapped[int | None]
    figures_at: Mapped[Moment | None]
    # Domains on the node that are none of ours: what a base can be imported from.
    other_domains: Mapped[list[str]] = mapped_column(JSON, default=list)
    created_at: Mapped[Moment] = mapped_column(default=now)

    pools: Mapped[list["Pool"]] = relationship(
        back_populates="node", cascade="all, delete-orphan", order_by="Pool.name", lazy="selectin"
    )

    @property
    def serves(self) -> bool:
        """Whether work can be sent there now: enabled or draining, seen up, and with its pinned key."""
        return self.observed == Observed.UP and self.trust == Trust.PINNED


class Pool(db.Model):
    """A storage pool of a node, as last seen. Unknown free space (None) counts as full."""

    __tablename__ = "pools"
    __table_args__ = (UniqueConstraint("node_id", "name"),)
    id: Mapped[Id]
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    name: Mapped[Name]
    path: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    total_mib: Mapped[int | None]
    free_mib: Mapped[int | None]
    sampled_at: Mapped[Moment | None]
    node: Mapped[Node] = relationship(back_populates="pools")
