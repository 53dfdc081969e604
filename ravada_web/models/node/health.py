"""A node's health: what the last checks saw of it."""

from enum import StrEnum

from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.models.types import Moment, Word, Words


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


class Health:
    """As the checks write it; `reason` says why it is not up."""

    observed: Mapped[Word] = mapped_column(default=Observed.UNKNOWN)
    trust: Mapped[Word] = mapped_column(default=Trust.PINNED)
    reason: Mapped[Words]
    last_seen_at: Mapped[Moment | None]
    checked_at: Mapped[Moment | None]
    # Since when it is observed as it is; checks running in which libvirt was slow, and that were good since.
    observed_at: Mapped[Moment | None]
    slow_checks: Mapped[int] = mapped_column(default=0)
    good_checks: Mapped[int] = mapped_column(default=0)
    # What the last check waited for SSH and for libvirt, in milliseconds.
    ssh_ms: Mapped[float | None]
    libvirt_ms: Mapped[float | None]

    @property
    def is_reachable(self) -> bool:
        """Whether work can be sent there now: seen up, and with its pinned key."""
        return self.observed == Observed.UP and self.trust == Trust.PINNED
