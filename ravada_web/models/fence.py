"""What turns a node off when it does not answer: a fence agent, its options, and what it said last."""

from sqlalchemy import JSON, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.extensions import db
from ravada_web.models.types import Moment, Name, Word, Words


class Fence(db.Model):
    """A node's fence agent. `secrets` are those of its options that nobody reads again, sealed.

    `power` is what it said at `asked_at`: "on", "off", or "" where it said neither; `said` is the reason then.
    """

    __tablename__ = "fences"
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True)
    agent: Mapped[Name]
    options: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    secrets: Mapped[str] = mapped_column(Text, default="")
    asked_at: Mapped[Moment | None]
    power: Mapped[Word] = mapped_column(default="")
    said: Mapped[Words]
