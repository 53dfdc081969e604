"""Users: list, create, edit, deactivate, delete. Passwords are in sign_in."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from ravada_web.errors import Conflict, InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.identity.passwords import hash_password, random_password
from ravada_web.messages import message
from ravada_web.models import Clone, Group, GroupMember, Role, User
from ravada_web.services.audit import events
from ravada_web.services.paging import Page, paginate
from ravada_web.services.people.quotas import Amounts
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.sign_in import sessions
from ravada_web.services.sign_in.passwords import SHORTEST_PASSWORD
from ravada_web.services.transaction import transaction
from ravada_web.translations import LANGUAGES

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")


def find(name: str) -> User | None:
    """The user of exactly that name, if there is one."""
    return db.session.scalar(select(User).where(User.name == name))


def first_administrator() -> User:
    """The first administrator who may sign in. Raises NotFound before there is one."""
    query = select(User).where(User.role == Role.ADMINISTRATOR, User.active).order_by(User.id)
    user = db.session.scalar(query.limit(1))
    if user is None:
        raise NotFound(_("There is no administrator yet: run `flask setup` first."))
    return user


def listing(viewer: User) -> Sequence[User]:
    """All users, by name. Raises NotAllowed."""
    rights.require(viewer, "users.see")
    return db.session.scalars(select(User).order_by(User.name)).all()


def by_name(viewer: User, name: str) -> User:
    """The user of that name. Raises NotFound, and NotAllowed for who may not see users."""
    rights.require(viewer, "users.see")
    user = find(name)
    if user is None:
        raise NotFound(_("There is no user “%(name)s”.", name=name))
    return user


def create(actor: User | None, name: str, role: str, password: str | None = None) -> tuple[User, str]:
    """Make a user; returns it and its password (drawn, where none is given), which is kept nowhere in clear.

    `actor` is None for the administrator of the machine, on the command line. Raises InvalidInput.
    """
    if actor is not None:
        rights.require(actor, "users.change")
    password = password or random_password()
    with transaction() as session:
        wrong = _invalid(name, role, password)
        if wrong:
            raise InvalidInput(wrong)
        user = User(name=name, role=Role(role), password_hash=hash_password(password))
        session.add(user)
        events.record(session, actor, "create", user, role)
    return user, password


def _invalid(name: str, role: str, password: str) -> dict[str, str]:
    wrong = {}
    if not NAME.fullmatch(name):
        wrong["name"] = _("Letters, digits and . _ @ -, at most 63; it starts with a letter or digit.")
    elif db.session.scalar(select(User.id).where(User.name == name)):
        wrong["name"] = _("There is a user “%(name)s” already.", name=name)
    if role not in list(Role):
        wrong["role"] = _("One of: %(roles)s.", roles=", ".join(Role))
    if len(password) < SHORTEST_PASSWORD:
        wrong["password"] = _("At least %(count)s characters.", count=SHORTEST_PASSWORD)
    return wrong


def ensure_first_administrator(name: str = "admin") -> str | None:
    """Make the first administrator where there is no user yet; returns the password, to be shown once, or None."""
    if db.session.scalar(select(User.id).limit(1)) is not None:
        return None
    return create(None, name, Role.ADMINISTRATOR)[1]


MOST_CLONES, MOST_MEMORY_MIB = 100_000, 1 << 30
NO_LIMITS = Amounts(None, None, None)


@dataclass(frozen=True)
class Filters:
    """Whom to list; empty fields do not filter. `active`: "yes" or "no"."""

    search: str = ""
    role: str = ""
    group_id: int | None = None
    active: str = ""


@dataclass(frozen=True)
class PersonRow:
    """A line of the list: the user with the groups, and how many clones of theirs the viewer may know of."""

    user: User
    clones: int


def page(viewer: User, filters: Filters, number: int = 1) -> Page[PersonRow]:
    """One page of the users that the filters leave, by name. Raises NotAllowed."""
    rights.require(viewer, "users.see")
    query = select(User).options(selectinload(User.groups)).order_by(func.lower(User.name), User.name)
    if filters.search:
        query = query.where(User.name.icontains(filters.search, autoescape=True))
    if filters.role:
        query = query.where(User.role == filters.role)
    if filters.active:
        query = query.where(User.active == (filters.active == "yes"))
    if filters.group_id:
        members = select(GroupMember.user_id).where(GroupMember.group_id == filters.group_id)
        query = query.where(User.id.in_(members))
    found = paginate(query, number)
    counts = _clones_of(viewer, [user.id for user in found.items])
    rows = [PersonRow(user, counts.get(user.id, 0)) for user in found.items]
    return Page(rows, found.total, found.page, found.pages)


def _clones_of(viewer: User, user_ids: Sequence[int]) -> dict[int, int]:
    known = scopes.clones(viewer, "clones.see_all")
    query = select(Clone.owner_id, func.count()).where(Clone.owner_id.in_(user_ids), known)
    return dict(db.session.execute(query.group_by(Clone.owner_id)).all())


def row_of(viewer: User, user: User) -> PersonRow:
    """The line of one user."""
    return PersonRow(user, _clones_of(viewer, [user.id]).get(user.id, 0))


def get(viewer: User, user_id: int) -> User:
    """One user. Raises NotFound, and NotAllowed for who may not see users."""
    rights.require(viewer, "users.see")
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound(_("There is no such user."))
    return user


def by_names(session: Session, names: Collection[str]) -> list[User]:
    """The users of these names. Raises InvalidInput that says whom there is not."""
    found = session.scalars(select(User).where(User.name.in_(names)).order_by(User.name)).all()
    if missing := sorted(set(names) - {user.name for user in found}):
        raise InvalidInput({"names": _("There is no user called %(names)s.", names=", ".join(missing[:20]))})
    return list(found)


def split_names(text: str) -> list[str]:
    """The names in a text, apart by blanks, commas, semicolons or lines; each once."""
    return list(dict.fromkeys(text.replace(",", " ").replace(";", " ").split()))


def make(
    actor: User | None,
    name: str,
    role: str,
    password: str | None = None,
    *,
    group_ids: Collection[int] = (),
    most: Amounts = NO_LIMITS,
) -> tuple[User, str]:
    """Make a user in these groups, with these limits; returns it and its password (drawn, where none is given).

    `actor` is None for the administrator of the machine, on the command line. Raises InvalidInput.
    """
    with transaction() as session:
        groups = _groups(session, group_ids)
        if wrong := out_of_range(most):
            raise InvalidInput(wrong)
        user, password = create(actor, name, role, password)
        user.groups = groups
        set_limits(user, most)
    return user, password


def edit(actor: User, user: User, *, role: str, group_ids: Collection[int], most: Amounts) -> None:
    """Change a user's role, groups and own limits. Raises InvalidInput with a reason for each field.

    Nobody takes their own administrator's role away, and one administrator who may sign in stays.
    """
    rights.require(actor, "users.change")
    with transaction() as session:
        groups = _groups(session, group_ids)
        wrong = out_of_range(most)
        if role not in list(Role):
            wrong["role"] = _("One of: %(roles)s.", roles=", ".join(Role))
        elif role != Role.ADMINISTRATOR and (reason := why_stays(session, actor, user)):
            wrong["role"] = reason
        if wrong:
            raise InvalidInput(wrong)
        before = (user.role, user.groups, limits_in_words(user))
        user.role, user.groups = Role(role), groups
        set_limits(user, most)
        now = (user.role, user.groups, limits_in_words(user))
        words = (role, _names(groups), now[2])
        changed = [word for word, old, new in zip(words, before, now, strict=True) if old != new]
        events.record(session, actor, "edit", user, "; ".join(changed))


def _names(groups: Sequence[Group]) -> str:
    return _("in %(groups)s", groups=", ".join(group.name for group in groups)) if groups else _("in no group")


def _groups(session: Session, group_ids: Collection[int]) -> list[Group]:
    found = list(session.scalars(select(Group).where(Group.id.in_(group_ids)).order_by(Group.name)))
    if len(found) != len(set(group_ids)):
        raise InvalidInput({"groups": _("One of these groups does not exist any more; load the page again.")})
    return found


def set_limits(owner: User | Group, most: Amounts) -> None:
    """Give a user or a group these limits."""
    owner.most_clones, owner.most_running, owner.most_memory_mib = most.clones, most.running, most.memory_mib


def limits_in_words(owner: User | Group) -> str:
    """The own limits of a user or a group, in short."""
    texts = (
        (owner.most_clones, _("%(most)s desktops", most=owner.most_clones)),
        (owner.most_running, _("%(most)s running", most=owner.most_running)),
        (owner.most_memory_mib, _("%(most)s MiB", most=owner.most_memory_mib)),
    )
    return ", ".join(text for value, text in texts if value is not None) or _("no limit")


def out_of_range(most: Amounts) -> dict[str, str]:
    """What is wrong with limits; maps fields to reasons."""
    wrong = {}
    for name, value in (("most_clones", most.clones), ("most_running", most.running)):
        if value is not None and not 0 <= value <= MOST_CLONES:
            wrong[name] = _("Between 0 and 100,000, or empty for no limit.")
    if most.memory_mib is not None and not 0 <= most.memory_mib <= MOST_MEMORY_MIB:
        wrong["most_memory_mib"] = _("A number of MiB, or empty for no limit.")
    return wrong


def why_stays(session: Session, actor: User | None, user: User) -> str:
    """Why the user has to stay an administrator who may sign in; "" where nothing speaks against it."""
    if user.role != Role.ADMINISTRATOR or not user.active:
        return ""
    if actor is not None and actor.id == user.id:
        return _("You cannot take this away from yourself. Another administrator can.")
    others = select(User.id).where(User.role == Role.ADMINISTRATOR, User.active, User.id != user.id)
    # Locked, so that two administrators do not take it away from each other at the same moment.
    if not session.scalars(others.with_for_update()).all():
        return _("%(name)s is the last administrator who may sign in.", name=user.name)
    return ""


def switch_off(actor: User, user: User) -> None:
    """Let the user sign in no more, and end what sign-ins there are; the clones stay. Raises Conflict."""
    rights.require(actor, "users.change")
    with transaction() as session:
        if reason := why_stays(session, actor, user):
            raise Conflict(reason)
        user.active = False
        events.record(session, actor, "switch_off", user)
        sessions.end_all(actor, user)


def switch_on(actor: User, user: User) -> None:
    """Let the user sign in again."""
    rights.require(actor, "users.change")
    with transaction() as session:
        user.active = True
        events.record(session, actor, "switch_on", user)


def set_language(user: User, language: str | None) -> None:
    """Choose the language of one's own pages, "" for the browser's. Raises InvalidInput for one that is not there."""
    if language != "" and language not in LANGUAGES:
        raise InvalidInput({"language": message("people.no_language")})
    with transaction():
        user.language = language


def delete(actor: User, user: User) -> None:
    """Delete a user. Raises Conflict while clones are theirs, for oneself, and for the last administrator."""
    rights.require(actor, "users.change")
    with transaction() as session:
        if actor.id == user.id:
            raise Conflict(_("You cannot delete yourself. Another administrator can."))
        if reason := why_stays(session, actor, user):
            raise Conflict(reason)
        count = session.scalar(select(func.count()).select_from(Clone).where(Clone.owner_id == user.id))
        if count:
            text = _("%(name)s has %(count)s desktops. Delete these first, or switch %(name)s off and keep them.",
                     name=user.name, count=count)  # fmt: skip
            raise Conflict(text)
        events.record(session, actor, "delete", user)
        session.delete(user)
