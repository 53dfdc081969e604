"""Offers of bases to users and groups, and what the desktops made from them may do."""

from collections.abc import Collection, Sequence

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.orm import Session

from ravada_web.errors import InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import AllowedNode, Base, BaseOffer, BaseState, Group, GroupMember, User
from ravada_web.services.audit import events
from ravada_web.services.people import users
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.transaction import transaction


def _offered(user: User) -> Select[Base]:
    groups = select(GroupMember.group_id).where(GroupMember.user_id == user.id)
    to_user = or_(BaseOffer.user_id == user.id, BaseOffer.group_id.in_(groups))
    offer = exists().where(BaseOffer.base_id == Base.id, to_user)
    node = exists().where(AllowedNode.base_id == Base.id)
    query = select(Base).where(Base.state == BaseState.READY, node, or_(Base.offered_to_all, offer))
    return query.order_by(Base.name)


def offered(user: User) -> Sequence[Base]:
    """The bases that the user may make a desktop of, by name: ready, with an allowed node, and offered to all, to
    the user, or to one of the user's groups."""
    return db.session.scalars(_offered(user)).all()


def require_offered(session: Session, user: User, base_id: int) -> Base:
    """The base, if it is offered to the user. Raises NotFound."""
    base = session.scalar(_offered(user).where(Base.id == base_id))
    if base is None:
        raise NotFound(message("bases.no_such"))
    return base


def users_of(viewer: User, base: Base) -> Sequence[User]:
    """The users to whom the base is offered by name, as far as the viewer may know of them."""
    user_ids = select(BaseOffer.user_id).where(BaseOffer.base_id == base.id)
    query = select(User).where(User.id.in_(user_ids), scopes.people(viewer)).order_by(User.name)
    return db.session.scalars(query).all()


def set_offers(
    actor: User,
    base: Base,
    *,
    to_all: bool,
    group_ids: Collection[int],
    user_ids: Collection[int],
    user_names: str = "",
    volatile: bool,
    users_may_delete: bool,
    users_may_refuse: bool,
    remakes: bool,
    restarts: bool,
) -> None:
    """Offer the base to exactly these, or to everybody as well. `user_names` is a text of names to add to the users.
    `volatile`: what they create is deleted when it stops; `users_may_delete`: they may delete it themselves;
    `users_may_refuse`: they may keep onlookers out; `remakes`: volatile ones are made again elsewhere when their node
    dies; `restarts`: persistent ones that ran are started again when their node is back.

    Raises InvalidInput for a group or a user that does not exist.
    """
    rights.require(actor, "bases.change")
    with transaction() as session:
        named = users.by_names(session, users.split_names(user_names))
        user_ids = {*user_ids, *(user.id for user in named)}
        _require_existing(session, set(group_ids), user_ids)
        chosen = {(group_id, None) for group_id in group_ids} | {(None, user_id) for user_id in user_ids}
        unchanged = [row for row in base.offers if (row.group_id, row.user_id) in chosen]
        added = chosen - {(row.group_id, row.user_id) for row in unchanged}
        base.offers = unchanged + [BaseOffer(group_id=group_id, user_id=user_id) for group_id, user_id in added]
        base.offered_to_all, base.offers_volatile = to_all, volatile
        base.users_may_delete, base.users_may_refuse = users_may_delete, users_may_refuse
        if base.remakes != remakes:
            base.remakes = remakes
            events.record(session, actor, "edit", base, message(f"bases.remakes_{'on' if remakes else 'off'}"))
        if base.restarts != restarts:
            base.restarts = restarts
            events.record(session, actor, "edit", base, message(f"bases.restarts_{'on' if restarts else 'off'}"))
        events.record(session, actor, "offer", base, _offered_to(to_all, len(set(group_ids)), len(user_ids)))


def _require_existing(session: Session, group_ids: set[int], user_ids: set[int]) -> None:
    wrong = {}
    if set(session.scalars(select(Group.id).where(Group.id.in_(group_ids)))) != group_ids:
        wrong["groups"] = message("people.group_gone")
    if set(session.scalars(select(User.id).where(User.id.in_(user_ids)))) != user_ids:
        wrong["users"] = message("people.user_gone")
    if wrong:
        raise InvalidInput(wrong)


def _offered_to(to_all: bool, groups: int, users: int) -> Message:
    """Its recipients, as the audit log keeps them."""
    parts = [message("bases.offered_to_all")] if to_all else []
    if groups:
        parts.append(message("bases.offered_to_groups", count=groups))
    if users:
        parts.append(message("bases.offered_to_users", count=users))
    return message("bases.offered_to", parts=parts) if parts else message("bases.offered_to_nobody")
