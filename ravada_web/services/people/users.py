"""Users: list, create, edit, deactivate, delete. Passwords are in sign_in."""

import re
from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.identity.passwords import hash_password, random_password
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Clone, Group, Role, User, name_key
from ravada_web.services.audit import events
from ravada_web.services.people import quotas
from ravada_web.services.people.quotas import Quota
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.sign_in import confirmation, names, sessions
from ravada_web.services.sign_in.passwords import SHORTEST_PASSWORD
from ravada_web.services.transaction import transaction
from ravada_web.translations import LANGUAGES

# Of a long list of names, how many a message shows.
SHOWN_NAMES = 20
# As many as are looked up within a fraction of a second.
MOST_NAMES = 10_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+'-]{0,62}")


def find(name: str) -> User | None:
    """The user of that name, in upper or lower case, if there is one."""
    return names.find(db.session(), name)


def first_administrator() -> User:
    """The first administrator who may sign in. Raises NotFound before there is one."""
    query = select(User).where(User.role == Role.ADMINISTRATOR, User.active).order_by(User.id)
    user = db.session.scalar(query.limit(1))
    if user is None:
        raise NotFound(message("people.no_administrator"))
    return user


def listing(viewer: User) -> Sequence[User]:
    """The users that the viewer may know of, by name. Raises NotAllowed."""
    rights.require(viewer, "users.see")
    return db.session.scalars(select(User).where(scopes.people(viewer)).order_by(User.name)).all()


def by_name(viewer: User, name: str) -> User:
    """The user of that name. Raises NotFound, for one that the viewer may not know of too, and NotAllowed."""
    rights.require(viewer, "users.see")
    user = find(name)
    if user is None or not knows(viewer, user.id):
        raise NotFound(message("people.no_user_called", name=name))
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
        events.record(session, actor, "create", user, message(f"people.role_{user.role}"))
    return user, password


def _invalid(name: str, role: str, password: str) -> dict[str, Message]:
    wrong = {}
    if not NAME.fullmatch(name):
        wrong["name"] = message("people.bad_name")
    elif others := names.alike(db.session(), [name]).get(name_key(name)):
        wrong["name"] = name_taken(name, others)
    if role not in list(Role):
        wrong["role"] = message("people.bad_role", roles=list(Role))
    if len(password) < SHORTEST_PASSWORD:
        wrong["password"] = message("sign_in.password_too_short", count=SHORTEST_PASSWORD)
    return wrong


def name_taken(name: str, others: Sequence[str]) -> Message:
    """That a user of one of these names, alike but for case, has it."""
    if name in others:
        return message("people.name_taken", name=name)
    return message("people.name_taken_but_for_case", name=others[0])


def ensure_first_administrator(name: str = "admin") -> str | None:
    """Make the first administrator where there is no user yet; returns the password, to be shown once, or None."""
    if db.session.scalar(select(User.id).limit(1)) is not None:
        return None
    return create(None, name, Role.ADMINISTRATOR)[1]


def get(viewer: User, user_id: int) -> User:
    """One user. Raises NotFound, for one that the viewer may not know of too, and NotAllowed."""
    rights.require(viewer, "users.see")
    user = db.session.get(User, user_id)
    if user is None or not knows(viewer, user_id):
        raise NotFound(message("people.no_such_user"))
    return user


def knows(viewer: User, user_id: int) -> bool:
    """Whether the viewer may know of the user."""
    return db.session.scalar(select(User.id).where(User.id == user_id, scopes.people(viewer))) is not None


def by_names(session: Session, typed: Collection[str]) -> list[User]:
    """The users of these names, each once. Raises InvalidInput that names the missing ones, or where these are too many
    at once."""
    if len(typed) > MOST_NAMES:
        raise InvalidInput({"names": message("people.too_many_names", most=MOST_NAMES)})
    known = names.find_all(session, typed)
    if missing := sorted(set(typed) - set(known)):
        raise InvalidInput(
            {"names": message("people.no_users_called", count=len(missing), names=missing[:SHOWN_NAMES])}
        )
    return sorted(set(known.values()), key=lambda user: user.name)


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
    most: Quota = quotas.NO_QUOTA,
    present: str = "",
) -> tuple[User, str]:
    """Make a user in these groups, with this quota; returns it and its password (drawn, where none is given).

    `actor` is None for the administrator of the machine, on the command line; any other makes an administrator with
    their own `present` password only. Raises InvalidInput and TooManyAttempts.
    """
    if actor is not None:
        rights.require(actor, "users.change")
        if role == Role.ADMINISTRATOR:
            confirmation.require(actor, present, "present")
    with transaction() as session:
        groups = _groups(session, group_ids)
        if wrong := quotas.out_of_range(most):
            raise InvalidInput(wrong)
        user, password = create(actor, name, role, password)
        user.groups = groups
        quotas.set_quota(user, most)
    return user, password


def edit(actor: User, user: User, *, role: str, group_ids: Collection[int], most: Quota, present: str = "") -> None:
    """Change a user's role, groups and own quota. Raises InvalidInput with a reason for each field, TooManyAttempts.

    Nobody takes their own administrator's role away, and one administrator who may sign in stays. Who makes somebody an
    administrator enters their own `present` password.
    """
    rights.require(actor, "users.change")
    if role == Role.ADMINISTRATOR != user.role:
        confirmation.require(actor, present, "present")
    with transaction() as session:
        groups = _groups(session, group_ids)
        wrong = quotas.out_of_range(most)
        if role not in list(Role):
            wrong["role"] = message("people.bad_role", roles=list(Role))
        elif role != Role.ADMINISTRATOR and (reason := why_stays(session, actor, user)):
            wrong["role"] = reason
        if wrong:
            raise InvalidInput(wrong)
        before = _described(user)
        user.role, user.groups = Role(role), groups
        quotas.set_quota(user, most)
        changes = [new for old, new in zip(before, _described(user), strict=True) if old != new]
        text = message("people.changes", changes_clauses=changes) if changes else NOTHING
        events.record(session, actor, "edit", user, text)


def _described(user: User) -> tuple[Message, ...]:
    """The role, groups and own quota, for the audit log."""
    names = sorted(group.name for group in user.groups)
    groups = message("people.in_groups", groups=names) if names else message("people.in_no_group")
    return message(f"people.role_{user.role}"), groups, quotas.own_quota(user)


def _groups(session: Session, group_ids: Collection[int]) -> list[Group]:
    groups = list(session.scalars(select(Group).where(Group.id.in_(group_ids)).order_by(Group.name)))
    if len(groups) != len(set(group_ids)):
        raise InvalidInput({"groups": message("people.group_gone")})
    return groups


def why_stays(session: Session, actor: User | None, user: User) -> Message:
    """Why the user has to stay an administrator who may sign in; an empty message where nothing speaks against it."""
    if user.role != Role.ADMINISTRATOR or not user.active:
        return NOTHING
    if actor is not None and actor.id == user.id:
        return message("people.not_from_yourself")
    # All are locked, in one order, so that two do not take it away from each other at the same moment.
    all_of_them = select(User.id).where(User.role == Role.ADMINISTRATOR, User.active).order_by(User.id)
    if set(session.scalars(all_of_them.with_for_update())) <= {user.id}:
        return message("people.last_administrator", name=user.name)
    return NOTHING


def deactivate(actor: User, user: User) -> None:
    """Deactivate the user and end all sessions; the clones stay. Raises Conflict."""
    rights.require(actor, "users.change")
    with transaction() as session:
        if reason := why_stays(session, actor, user):
            raise Conflict(reason)
        user.active = False
        events.record(session, actor, "switch_off", user)
        sessions.end_all(actor, user)


def activate(actor: User, user: User) -> None:
    """Activate the user again."""
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
            raise Conflict(message("people.delete_yourself"))
        if reason := why_stays(session, actor, user):
            raise Conflict(reason)
        count = session.scalar(select(func.count()).select_from(Clone).where(Clone.owner_id == user.id))
        if count:
            raise Conflict(message("people.has_desktops", name=user.name, count=count))
        events.record(session, actor, "delete", user)
        session.delete(user)
