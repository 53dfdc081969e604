"""Which bases are offered to whom."""

from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.models import Base, BaseOffer, BaseState, GroupMember, User


def _offered(user: User):  # type: ignore[no-untyped-def]
    groups = select(GroupMember.group_id).where(GroupMember.user_id == user.id)
    mine = or_(BaseOffer.user_id == user.id, BaseOffer.group_id.in_(groups))
    offer = exists().where(BaseOffer.base_id == Base.id, mine)
    return select(Base).where(Base.state == BaseState.READY, or_(Base.offered_to_all, offer)).order_by(Base.name)


def offered(user: User) -> Sequence[Base]:
    """The ready bases that the user may make a desktop of, by name."""
    return db.session.scalars(_offered(user)).all()


def require_offered(session: Session, user: User, base_id: int) -> Base:
    """The base, if it is offered to the user. Raises NotFound."""
    base = session.scalar(_offered(user).where(Base.id == base_id))
    if base is None:
        raise NotFound(_("There is no such base."))
    return base
