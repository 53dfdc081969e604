"""Groups of users: list, make, change, members, delete."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ravada_web.errors import InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import BaseOffer, Group, GroupMember, User
from ravada_web.services.audit import events
from ravada_web.services.audit.events import Line
from ravada_web.services.paging import Page, paginate
from ravada_web.services.people import quotas, users
from ravada_web.services.people.quotas import Quota
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.transaction import transaction

# No character that a list of names in a table's cell would break at.
NAME = re.compile(r"[^\W_][\w ._@-]{0,62}")


@dataclass(frozen=True)
class GroupRow:
    """A line of the list: the group, its members, and the bases that it is offered."""

    group: Group
    members: int
    bases: int


def listing(viewer: User) -> Sequence[Group]:
    """The groups that the viewer may know of, by name, to choose from. Raises NotAllowed."""
    rights.require(viewer, "users.see")
    return db.session.scalars(select(Group).where(scopes.groups(viewer)).order_by(func.lower(Group.name))).all()


def page(viewer: User, search: str = "", number: int = 1) -> Page[GroupRow]:
    """One page of the groups whose name or description is like the search, by name. Raises NotAllowed."""
    rights.require(viewer, "users.see")
    query = select(Group).where(scopes.groups(viewer)).order_by(func.lower(Group.name), Group.name)
    if search:
        like = Group.name.icontains(search, autoescape=True) | Group.description.icontains(search, autoescape=True)
        query = query.where(like)
    shown = paginate(query, number)
    ids = [group.id for group in shown.items]
    members, bases = _count(GroupMember.group_id, ids), _count(BaseOffer.group_id, ids)
    rows = [GroupRow(group, members.get(group.id, 0), bases.get(group.id, 0)) for group in shown.items]
    return Page(rows, shown.total, shown.page, shown.pages)


def _count(column: object, ids: Sequence[int]) -> dict[int, int]:
    query = select(column, func.count()).where(column.in_(ids)).group_by(column)  # type: ignore[attr-defined, call-overload]
    return dict(db.session.execute(query).all())


def get(viewer: User, group_id: int) -> Group:
    """One group. Raises NotFound, and NotAllowed for one who may not see users."""
    rights.require(viewer, "users.see")
    group = db.session.scalar(select(Group).where(Group.id == group_id, scopes.groups(viewer)))
    if group is None:
        raise NotFound(message("people.no_such_group"))
    return group


def by_name(viewer: User, name: str) -> Group:
    """The group of that name. Raises NotFound, and NotAllowed for one who may not see users."""
    rights.require(viewer, "users.see")
    group = db.session.scalar(select(Group).where(Group.name == name, scopes.groups(viewer)))
    if group is None:
        raise NotFound(message("people.no_group_called", name=name))
    return group


@dataclass(frozen=True)
class GroupPage:
    """A group: one page of its members, how many bases it is offered, and what has happened."""

    group: Group
    members: Page[User]
    bases: int
    events: Sequence[Line]


def group_page(viewer: User, group_id: int, number: int = 1) -> GroupPage:
    """One group, with the page of that number of its members. Raises NotFound and NotAllowed."""
    group = get(viewer, group_id)
    bases = _count(BaseOffer.group_id, [group.id]).get(group.id, 0)
    return GroupPage(group, members(viewer, group, number), bases, events.recent(viewer, "group", group.id))


def members(viewer: User, group: Group, number: int = 1) -> Page[User]:
    """One page of a group's members, by name. Raises NotAllowed."""
    rights.require(viewer, "users.see")
    user_ids = select(GroupMember.user_id).where(GroupMember.group_id == group.id)
    return paginate(select(User).where(User.id.in_(user_ids)).order_by(func.lower(User.name), User.name), number)


def create(actor: User, *, name: str, description: str = "", most: Quota = quotas.NO_QUOTA) -> Group:
    """Make a group without members. Raises InvalidInput with a reason for each field."""
    rights.require(actor, "users.change")
    with transaction() as session:
        _require_valid(session, name, most)
        group = Group(name=name, description=description)
        quotas.set_quota(group, most)
        session.add(group)
        events.record(session, actor, "create", group)
    return group


def edit(actor: User, group: Group, *, name: str, description: str, most: Quota) -> None:
    """Change a group's name, description and quota. Raises InvalidInput with a reason for each field."""
    rights.require(actor, "users.change")
    with transaction() as session:
        _require_valid(session, name, most, except_id=group.id)
        group.name, group.description = name, description
        quotas.set_quota(group, most)
        events.record(session, actor, "edit", group, quotas.own_quota(group))


def _require_valid(session: Session, name: str, most: Quota, except_id: int | None = None) -> None:
    wrong = quotas.out_of_range(most)
    if not NAME.fullmatch(name):
        wrong["name"] = message("people.bad_group_name")
    elif session.scalar(select(Group.id).where(Group.name == name, Group.id != (except_id or 0))):
        wrong["name"] = message("people.group_name_taken")
    if wrong:
        raise InvalidInput(wrong)


def add_members(actor: User, group: Group, names: str) -> int:
    """Add the users whose names are in the text; returns how many are new.

    Raises InvalidInput when one does not exist: then nobody is added.
    """
    rights.require(actor, "users.change")
    with transaction() as session:
        named = users.split_names(names)
        if not named:
            raise InvalidInput({"names": message("people.no_names")})
        present = set(session.scalars(select(GroupMember.user_id).where(GroupMember.group_id == group.id)))
        new = [user for user in users.by_names(session, named) if user.id not in present]
        join(session, actor, group, new)
        return len(new)


def join(session: Session, actor: User, group: Group, new: Sequence[User]) -> None:
    """Add users who are not in the group, in the present transaction."""
    session.add_all(GroupMember(group_id=group.id, user_id=user.id) for user in new)
    if new:
        events.record(session, actor, "add_members", group, _names(new))


def _names(members: Sequence[User]) -> Message:
    """The first of them by name, and how many more there are, for the audit log."""
    names: list[str | Message] = [user.name for user in members[: users.SHOWN_NAMES]]
    if len(members) > len(names):
        names.append(message("people.more", count=len(members) - len(names)))
    return message("people.members", names=names)


def remove_member(actor: User, group: Group, user_id: int) -> User:
    """Take a user out of the group; returns the user. Raises NotFound for one who is not in it."""
    rights.require(actor, "users.change")
    with transaction() as session:
        row = session.get(GroupMember, (group.id, user_id))
        user = session.get(User, user_id)
        if row is None or user is None:
            raise NotFound(message("people.no_such_member"))
        session.delete(row)
        events.record(session, actor, "remove_member", group, user.name)
        return user


def remove_members(actor: User, group: Group, names: str) -> int:
    """Take the users whose names are in the text out of the group; returns how many. Raises NotFound for one who is not
    in it, and InvalidInput for one who does not exist: then nobody is taken out."""
    with transaction() as session:
        chosen = users.by_names(session, users.split_names(names))
        for user in chosen:
            remove_member(actor, group, user.id)
        return len(chosen)


def delete(actor: User, group: Group) -> None:
    """Delete a group; its members stay, without what it offered and allowed them."""
    rights.require(actor, "users.change")
    with transaction() as session:
        events.record(session, actor, "delete", group)
        session.delete(group)
