"""A node's maintenance: who took it out of service, why and until when."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.clock import now
from ravada_web.messages import Message, message
from ravada_web.models.types import Moment, Sentence


class Maintenance:
    """Of a node in maintenance; empty for all others. `maintenance_until` is what was planned, None without a plan."""

    maintenance_by: Mapped[str] = mapped_column(String(255), default="")
    maintenance_why: Mapped[Sentence]
    maintenance_since: Mapped[Moment | None]
    maintenance_until: Mapped[Moment | None]

    @property
    def is_over_time(self) -> bool:
        """Whether it is in maintenance for longer than was planned."""
        return self.maintenance_until is not None and self.maintenance_until <= now()

    @property
    def maintenance_plan(self) -> Message:
        """Since when it is in maintenance, by whom, and until when, in one sentence."""
        over_time = "_over_time" if self.is_over_time else "_planned" if self.maintenance_until else ""
        figures = {"name": self.maintenance_by, "since_at": self.maintenance_since, "until_at": self.maintenance_until}
        return message(f"nodes.maintenance{over_time}", **{name: value for name, value in figures.items() if value})

    def end_maintenance(self) -> None:
        """It is in maintenance no longer."""
        self.maintenance_by, self.maintenance_why = "", ""
        self.maintenance_since = self.maintenance_until = None
