"""People and their roles."""

from enum import StrEnum

from flask_login import UserMixin
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.extensions import db
from ravada_web.models.types import Id, Moment, Name, Word, now


class Role(StrEnum):
    """What a person may do, each one more than the one before."""

    USER = "user"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


class User(UserMixin, db.Model):
    """A person who signs in; owns clones."""

    __tablename__ = "users"
    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[Word] = mapped_column(default=Role.USER)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[Moment] = mapped_column(default=now)
    signed_in_at: Mapped[Moment | None]

    @property
    def is_active(self) -> bool:
        return self.active

    @property
    def operates(self) -> bool:
        """True for operators and administrators."""
        return self.role in (Role.OPERATOR, Role.ADMINISTRATOR)

    @property
    def administers(self) -> bool:
        return self.role == Role.ADMINISTRATOR
