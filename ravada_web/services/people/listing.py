"""Users as pages list them, and what the page of one user shows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from ravada_web.extensions import db
from ravada_web.models import Clone, Group, GroupMember, User, UserSession
from ravada_web.services.audit import events
from ravada_web.services.audit.events import Line
from ravada_web.services.paging import Page, paginate
from ravada_web.services.people import quotas, users
from ravada_web.services.people.quotas import Quota
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.sign_in import second_factor, sessions


@dataclass(frozen=True)
class Filters:
    """Filters of the list; empty fields do not filter. `standing` is one of Standing."""

    search: str = ""
    role: str = ""
    group_id: int | None = None
    standing: str = ""


@dataclass(frozen=True)
class PersonRow:
    """A line of the list: the user, and as far as the viewer may know of them the groups, and how many clones."""

    user: User
    groups: Sequence[Group]
    clones: int


def page(viewer: User, filters: Filters, number: int = 1) -> Page[PersonRow]:
    """One page of the users that the viewer may know of and the filters leave, by name. Raises NotAllowed."""
    rights.require(viewer, "users.see")
    query = select(User).where(scopes.people(viewer)).order_by(func.lower(User.name), User.name)
    if filters.search:
        query = query.where(User.name.icontains(filters.search, autoescape=True))
    if filters.role:
        query = query.where(User.role == filters.role)
    if filters.standing:
        query = query.where(User.standing == filters.standing)
    if filters.group_id:
        members = select(GroupMember.user_id).where(GroupMember.group_id == filters.group_id)
        query = query.where(User.id.in_(members))
    shown = paginate(query, number)
    return Page(_rows(viewer, shown.items), shown.total, shown.page, shown.pages)


def _rows(viewer: User, users: Sequence[User]) -> list[PersonRow]:
    ids = [user.id for user in users]
    counts, groups = _clones_of(viewer, ids), _groups_of(viewer, ids)
    return [PersonRow(user, groups[user.id], counts.get(user.id, 0)) for user in users]


def _groups_of(viewer: User, user_ids: Sequence[int]) -> Mapping[int, Sequence[Group]]:
    query = select(GroupMember.user_id, Group).join(Group, Group.id == GroupMember.group_id)
    query = query.where(GroupMember.user_id.in_(user_ids), scopes.groups(viewer)).order_by(Group.name)
    found: dict[int, list[Group]] = defaultdict(list)
    for user_id, group in db.session.execute(query):
        found[user_id].append(group)
    return found


def _clones_of(viewer: User, user_ids: Sequence[int]) -> dict[int, int]:
    known = scopes.clones(viewer, "clones.see_all")
    query = select(Clone.owner_id, func.count()).where(Clone.owner_id.in_(user_ids), known)
    return dict(db.session.execute(query.group_by(Clone.owner_id)).all())


def row_of(viewer: User, user: User) -> PersonRow:
    """The line of one user."""
    return _rows(viewer, [user])[0]


@dataclass(frozen=True)
class Person:
    """A user: the line of the list, the quota and what is used of them, the bases and nodes of an operator's scope
    (None is all of them), the sessions, whether a second factor is demanded, and what has happened.

    `used`, `scope` and `sessions` are for those alone who may change users: None and () for others.
    """

    user: User
    row: PersonRow
    most: Quota
    used: Quota | None
    scope: tuple[Sequence[str], Sequence[str]] | None
    sessions: Sequence[UserSession]
    demanded: bool
    events: Sequence[Line]


def person(viewer: User, user_id: int) -> Person:
    """One user. Raises NotFound, and NotAllowed for one who may not see users."""
    user = users.get(viewer, user_id)
    changes = rights.can(viewer, "users.change")
    return Person(
        user=user,
        row=row_of(viewer, user),
        most=quotas.quota_of(user),
        used=quotas.used_by(user) if changes else None,
        scope=scopes.names(user) if changes else None,
        sessions=sessions.listing(user) if changes else (),
        demanded=second_factor.demanded(user),
        events=events.recent(viewer, "user", user_id),
    )
