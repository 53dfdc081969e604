"""Storage pools of nodes."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.extensions import db
from ravada_web.models.types import Id, Moment, Size

if TYPE_CHECKING:
    from ravada_web.models.node.node import Node


class Level(StrEnum):
    """How near a pool is to being full, by its marks."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class Pool(db.Model):
    """A storage pool of a node, as last seen. Unknown free space (None) counts as full.

    From `warn_percent` in use on it is worth a warning, from `critical_percent` on an alarm; below `floor_mib` free
    (None: the installation's) nothing more is put there. `usage` is what uses it, as last counted (at `counted_at`).
    """

    __tablename__ = "pools"
    __table_args__ = (UniqueConstraint("node_id", "name"),)
    id: Mapped[Id]
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    # libvirt keeps each in a file of its own, and files' names are no longer.
    name: Mapped[str] = mapped_column(String(255))
    path: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(default=True)
    total_mib: Mapped[Size | None]
    free_mib: Mapped[Size | None]
    sampled_at: Mapped[Moment | None]
    warn_percent: Mapped[int] = mapped_column(default=80)
    critical_percent: Mapped[int] = mapped_column(default=90)
    floor_mib: Mapped[Size | None]
    usage: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, deferred=True)
    counted_at: Mapped[Moment | None]
    node: Mapped["Node"] = relationship(back_populates="pools")
