"""Consoles: the tickets that open them, and who views which clone's screen."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.clock import now
from ravada_web.extensions import db
from ravada_web.models.clone import Clone
from ravada_web.models.types import Id, Moment, Name, Sentence, Word
from ravada_web.models.user import User


class Ticket(db.Model):
    """Permission to open one console, once and soon; only its hash is kept."""

    __tablename__ = "tickets"
    id: Mapped[Id]
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    sign_in_id: Mapped[int] = mapped_column(ForeignKey("sign_ins.id", ondelete="CASCADE"))
    clone_id: Mapped[int] = mapped_column(ForeignKey("clones.id", ondelete="CASCADE"))
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"))
    view_only: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[Moment] = mapped_column(index=True)
    used_at: Mapped[Moment | None]


class Console(db.Model):
    """A console that is open, or was: `closed_as` is the cause's word once it is closed.

    `gateway` is the process that holds it, by whose absence a console left open by a crash is known.
    """

    __tablename__ = "consoles"
    id: Mapped[Id]
    clone_id: Mapped[int] = mapped_column(ForeignKey("clones.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    sign_in_id: Mapped[int | None] = mapped_column(ForeignKey("sign_ins.id", ondelete="SET NULL"), index=True)
    view_only: Mapped[bool] = mapped_column(default=False)
    address: Mapped[Name] = mapped_column(default="")
    gateway: Mapped[Sentence]
    opened_at: Mapped[Moment] = mapped_column(default=now)
    closed_at: Mapped[Moment | None] = mapped_column(index=True)
    closed_as: Mapped[Word] = mapped_column(default="")
    clone: Mapped[Clone] = relationship()
    user: Mapped[User] = relationship()
