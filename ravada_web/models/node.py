"""Nodes and their storage pools: what is wanted, what was seen last, and when."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.extensions import db
from ravada_web.models.types import Id, Moment, Name, Sentence, Word, Words, now


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


class Access(StrEnum):
    """What our login may do there: everything (root itself, or by sudo), or only what the libvirt group may."""

    NONE = ""
    ROOT = "root"
    SUDO = "sudo"
    LIBVIRT = "libvirt"


class Node(db.Model):
    """A host that runs virtual machines. Sizes in MiB; `cpu_load` from 0 to 1 of all cores; times in milliseconds.

    An overcommit is how many times of what is there may be promised to clones that run; None for processors is
    without bound.
    """

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
    reason: Mapped[Words]
    last_seen_at: Mapped[Moment | None]
    checked_at: Mapped[Moment | None]
    # Since when it is observed as it is; checks running in which libvirt was slow, and that were good since.
    observed_at: Mapped[Moment | None]
    slow_checks: Mapped[int] = mapped_column(default=0)
    good_checks: Mapped[int] = mapped_column(default=0)
    # What the last check waited for SSH and for libvirt.
    ssh_ms: Mapped[float | None]
    libvirt_ms: Mapped[float | None]

    # Joining: what our login may do, the findings of the last inspection, and the proof that a guest runs there.
    access: Mapped[Word] = mapped_column(default=Access.ROOT)
    # Our own address as the node sees it.
    source_address: Mapped[str] = mapped_column(String(64), default="")
    machine_id: Mapped[str] = mapped_column(String(32), default="")
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, deferred=True)
    inspected_at: Mapped[Moment | None]
    proof: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, deferred=True)
    proved_at: Mapped[Moment | None]

    clone_limit: Mapped[int | None]
    memory_reserve_mib: Mapped[int] = mapped_column(default=512)
    cpu_overcommit: Mapped[float | None]
    memory_overcommit: Mapped[float] = mapped_column(default=1.0)
    builds_at_once: Mapped[int] = mapped_column(default=2)
    # Where viewers of the users' own reach its displays; "" offers them on no address.
    display_address: Mapped[str] = mapped_column(String(255), default="")
    # Where viewers are sent instead, where the display address is behind NAT.
    nat_address: Mapped[str] = mapped_column(String(255), default="")
    # Of the card that wakes the host up.
    mac: Mapped[str] = mapped_column(String(17), default="")
    notes: Mapped[Sentence]
    labels: Mapped[list[str]] = mapped_column(JSON, default=list)

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
    def allows_root(self) -> bool:
        """Whether our login may act as root there, as making disks and running remedies needs."""
        return self.access in (Access.ROOT, Access.SUDO)

    @property
    def is_reachable(self) -> bool:
        """Whether work can be sent there now: enabled or draining, seen up, and with its pinned key."""
        return self.observed == Observed.UP and self.trust == Trust.PINNED


class Level(StrEnum):
    """How near a pool is to being full, by its marks."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class Pool(db.Model):
    """A storage pool of a node, as last seen. Unknown free space (None) counts as full.

    From `warn_percent` in use on it is worth a warning, from `critical_percent` on an alarm; below `floor_mib` free
    (None: the installation's) nothing more is put there. `usage` is who uses it, as last counted (at `counted_at`).
    """

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
    warn_percent: Mapped[int] = mapped_column(default=80)
    critical_percent: Mapped[int] = mapped_column(default=90)
    floor_mib: Mapped[int | None]
    usage: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, deferred=True)
    counted_at: Mapped[Moment | None]
    node: Mapped[Node] = relationship(back_populates="pools")
