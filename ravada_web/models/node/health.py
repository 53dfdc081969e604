"""A node's health: what the last checks saw of it."""

from collections.abc import MutableMapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, String, case
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.clock import now
from ravada_web.config import settings
from ravada_web.messages import Message, message
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


# What was seen is believed for so many intervals of the checks, and for so many seconds at least; what did not answer,
# for as long again as a check waits for it.
BELIEVED_INTERVALS, BELIEVED_SECONDS, SILENT_SECONDS = 3, 15.0, 8.0


def believed_since(seen: str = Observed.UP) -> datetime:
    """What was seen so before this moment is no longer known: it should have been looked at again since."""
    seconds = max(BELIEVED_SECONDS, BELIEVED_INTERVALS * settings().check_interval)
    return now() - timedelta(seconds=seconds if seen == Observed.UP else seconds + SILENT_SECONDS)


class Health:
    """As the checks write it; `reason` says why it was not up when it was seen last."""

    seen: Mapped[Word] = mapped_column("observed", default=Observed.UNKNOWN)
    trust: Mapped[Word] = mapped_column(default=Trust.PINNED)
    reason: Mapped[Words]
    # It answers again, and something stands there that must not: nothing is placed, started or opened there until that
    # is gone.
    returning: Mapped[bool] = mapped_column("is_returning", default=False)
    # Rounds of checks are numbered, node by node: the number of the one that began last, and of the newest that was
    # written. Whatever clocks say, what a round saw is newer than all that was done before it began.
    rounds_begun: Mapped[int] = mapped_column(default=0)
    seen_round: Mapped[int] = mapped_column(default=0)
    # The boot of its host whose domains were seen last, "" if not known, and the first round that saw them.
    boot: Mapped[str] = mapped_column(String(64), default="")
    boot_round: Mapped[int] = mapped_column(default=0)
    last_seen_at: Mapped[Moment | None]
    checked_at: Mapped[Moment | None]
    # Since when it is observed as it is; checks running in which libvirt was slow, and that were good since.
    observed_at: Mapped[Moment | None]
    slow_checks: Mapped[int] = mapped_column(default=0)
    good_checks: Mapped[int] = mapped_column(default=0)
    # What the last check waited for SSH and for libvirt, in milliseconds.
    ssh_ms: Mapped[float | None]
    libvirt_ms: Mapped[float | None]

    @hybrid_property
    def observed(self) -> str:
        """What was seen last; unknown where that is too long ago, degraded while it is returning."""
        if self.is_overdue:
            return Observed.UNKNOWN
        return Observed.DEGRADED if self.returning and self.seen == Observed.UP else self.seen

    @observed.inplace.setter
    def _see(self, value: str) -> None:
        self.seen = value

    @observed.inplace.update_expression
    @classmethod
    def _update_seen(cls, value: Any) -> list[tuple[Any, Any]]:
        return [(cls.seen, value)]

    @observed.inplace.bulk_dml
    @classmethod
    def _insert_seen(cls, mapping: MutableMapping[str, Any], value: Any) -> None:
        mapping["seen"] = value

    @observed.inplace.expression
    @classmethod
    def _observed_now(cls) -> ColumnElement[str]:
        up = (cls.seen == Observed.UP) & (cls.checked_at < believed_since())
        overdue = up | (cls.checked_at < believed_since(Observed.DOWN))
        returning = cls.returning & (cls.seen == Observed.UP)
        return case((overdue, Observed.UNKNOWN.value), (returning, Observed.DEGRADED.value), else_=cls.seen)

    @property
    def is_overdue(self) -> bool:
        """Whether it was seen so long ago that its state is no longer known."""
        return self.checked_at is not None and self.checked_at < believed_since(self.seen)

    @property
    def why(self) -> Message:
        """Why it is observed as it is, where that needs a reason: that of the last check, or that none came since."""
        if self.is_overdue and self.checked_at:
            return message("nodes.overdue", checked_at=self.checked_at)
        if self.returning and self.seen == Observed.UP:
            return message("nodes.returning")
        return self.reason
