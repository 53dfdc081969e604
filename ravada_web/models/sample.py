"""What nodes and their pools were like over time: averages over steps of time, coarser the older they are."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.extensions import db
from ravada_web.models.types import Moment


class NodeSample(db.Model):
    """A node's averages over `step` seconds from `at` on, of `count` checks: shares from 0 to 1, and milliseconds."""

    __tablename__ = "node_samples"
    __table_args__ = (Index("ix_node_samples_step_at", "step", "at"),)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[Moment] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=1)
    cpu_load: Mapped[float | None]
    memory_used: Mapped[float | None]
    ssh_ms: Mapped[float | None]
    libvirt_ms: Mapped[float | None]


class PoolSample(db.Model):
    """A pool's average use over `step` seconds from `at` on, of `count` checks, in MiB."""

    __tablename__ = "pool_samples"
    __table_args__ = (Index("ix_pool_samples_step_at", "step", "at"),)
    pool_id: Mapped[int] = mapped_column(ForeignKey("pools.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[Moment] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=1)
    used_mib: Mapped[float]
    total_mib: Mapped[float]
