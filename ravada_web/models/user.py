"""Users, their roles and groups, their sessions, and operators' scopes."""

from enum import StrEnum
from typing import Any

from flask_login import UserMixin
from sqlalchemy import BigInteger, ColumnElement, ForeignKey, String, UniqueConstraint, case
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.clock import now
from ravada_web.extensions import db
from ravada_web.models.types import Id, Moment, Name, Sentence, Size, Word


class Role(StrEnum):
    """What a person may do, each one more than the one before."""

    USER = "user"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


class Standing(StrEnum):
    """Whether a person comes in: works here, was given a password and has not used it, was never here, has no password
    to come in with, or may not."""

    ACTIVE = "active"
    INVITED = "invited"
    NEVER = "never"
    NO_PASSWORD = "no_password"  # noqa: S105  a state's name
    DEACTIVATED = "deactivated"


def name_key(name: str) -> str:
    """What names of one user have in common."""
    return name.lower()


def _key_of_name(context: Any) -> str:
    return name_key(context.get_current_parameters()["name"])


class QuotaColumns:
    """The quota of a user or a group; None is no limit. Memory in MiB."""

    most_clones: Mapped[int | None]
    most_running: Mapped[int | None]
    most_memory_mib: Mapped[Size | None]


class User(QuotaColumns, UserMixin, db.Model):
    """A person who signs in; owns clones."""

    __tablename__ = "users"
    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    # Two users of before this was so, alike but for case, have keys that no name has.
    name_key: Mapped[str] = mapped_column(String(80), unique=True, index=True, default=_key_of_name, server_default="")
    password_hash: Mapped[str] = mapped_column(String(255))
    # Set by an administrator's reset: at the next sign-in a new password is set first.
    must_change_password: Mapped[bool] = mapped_column(default=False)
    role: Mapped[Word] = mapped_column(default=Role.USER)
    active: Mapped[bool] = mapped_column(default=True)
    # Of its pages; "" is the browser's.
    language: Mapped[Word] = mapped_column(default="")
    created_at: Mapped[Moment] = mapped_column(default=now)
    signed_in_at: Mapped[Moment | None]
    # Attempts that failed since the user was last told of them, and when the first did.
    failed_sign_ins: Mapped[int] = mapped_column(default=0, server_default="0")
    failed_since: Mapped[Moment | None]
    # The second factor's secret, encrypted; it counts once it is confirmed. The last time step that was
    # accepted keeps a code from being used twice.
    totp_secret: Mapped[str | None] = mapped_column(String(255))
    totp_since: Mapped[Moment | None]
    totp_step: Mapped[int] = mapped_column(BigInteger, default=0)

    groups: Mapped[list["Group"]] = relationship(
        secondary="group_members", order_by="Group.name", back_populates="users"
    )

    @property
    def is_active(self) -> bool:
        """Whether the user may sign in; Flask-Login asks it."""
        return self.active

    @hybrid_property
    def standing(self) -> str:
        """Whether the user comes in, one of Standing. In queries, too."""
        if not self.active:
            return Standing.DEACTIVATED
        if not self.password_hash:
            return Standing.NO_PASSWORD
        if self.signed_in_at is not None:
            return Standing.ACTIVE
        return Standing.INVITED if self.must_change_password else Standing.NEVER

    @standing.inplace.expression
    @classmethod
    def _standing_in_queries(cls) -> ColumnElement[str]:
        return case(
            (~cls.active, Standing.DEACTIVATED.value),
            (cls.password_hash == "", Standing.NO_PASSWORD.value),
            (cls.signed_in_at.is_not(None), Standing.ACTIVE.value),
            (cls.must_change_password, Standing.INVITED.value),
            else_=Standing.NEVER.value,
        )

    @property
    def has_second_factor(self) -> bool:
        """Whether a second factor is set up and was confirmed."""
        return self.totp_since is not None


class Group(QuotaColumns, db.Model):
    """Users who are offered the same bases and have the same quota, each for themselves."""

    __tablename__ = "groups"
    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    description: Mapped[Sentence]
    created_at: Mapped[Moment] = mapped_column(default=now)
    users: Mapped[list[User]] = relationship(secondary="group_members", order_by="User.name", back_populates="groups")


class GroupMember(db.Model):
    """A user is in a group; in any number of groups."""

    __tablename__ = "group_members"
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)


class UserSession(db.Model):
    """A session: one browser that is signed in. Its cookie holds a token, of which only the hash is kept; ending
    deletes it.
    """

    __tablename__ = "sign_ins"
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    address: Mapped[Name] = mapped_column(default="")
    agent: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[Moment] = mapped_column(default=now)
    seen_at: Mapped[Moment] = mapped_column(default=now)
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class RecoveryCode(db.Model):
    """A one-time code for users who have lost the second factor; only its hash is kept."""

    __tablename__ = "recovery_codes"
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[Moment | None]


class OperatorScope(db.Model):
    """A node or a base that an operator is given; an operator with none at all may see everything."""

    __tablename__ = "operator_scopes"
    __table_args__ = (UniqueConstraint("user_id", "node_id", "base_id"),)
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    node_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"))
    base_id: Mapped[int | None] = mapped_column(ForeignKey("bases.id", ondelete="CASCADE"))
