"""What is done to many users at once: those that it cannot be done to stay as they are, and it is said why."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from ravada_web.errors import Conflict, NotFound
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Group, GroupMember, User
from ravada_web.services.people import groups, users
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.transaction import transaction


@dataclass(frozen=True)
class Outcome:
    """Whom it was done to, and whom not, each with the reason."""

    done: Sequence[User]
    skipped: Sequence[tuple[User, Message]]


def chosen(viewer: User, user_ids: Collection[int]) -> Sequence[User]:
    """The users of these ids that the viewer may know of, by name. Raises NotAllowed, and NotFound where none is
    left."""
    rights.require(viewer, "users.see")
    query = select(User).where(User.id.in_(user_ids), scopes.people(viewer)).order_by(User.name_key)
    found = db.session.scalars(query).all()
    if not found:
        raise NotFound(message("people.no_such_user"))
    return found


def deactivate(actor: User, user_ids: Collection[int]) -> Outcome:
    """Deactivate them and end their sessions; their clones stay. Raises NotAllowed and NotFound."""
    return _each(actor, user_ids, users.deactivate)


def activate(actor: User, user_ids: Collection[int]) -> Outcome:
    """Activate them again. Raises NotAllowed and NotFound."""
    return _each(actor, user_ids, users.activate)


def _each(actor: User, user_ids: Collection[int], change: Callable[[User, User], None]) -> Outcome:
    rights.require(actor, "users.change")
    done, skipped = list[User](), list[tuple[User, Message]]()
    with transaction():
        for user in chosen(actor, user_ids):
            if user.active == (change is users.activate):
                continue
            try:
                change(actor, user)
                done.append(user)
            except Conflict as error:
                skipped.append((user, error.message))
    return Outcome(done, skipped)


def add_to_group(actor: User, user_ids: Collection[int], group_id: int) -> tuple[Group, int]:
    """Add them to a group; returns it, and how many were not in it. Raises NotAllowed and NotFound."""
    rights.require(actor, "users.change")
    with transaction() as session:
        group = groups.get(actor, group_id)
        present = set(session.scalars(select(GroupMember.user_id).where(GroupMember.group_id == group.id)))
        new = [user for user in chosen(actor, user_ids) if user.id not in present]
        groups.join(session, actor, group, new)
        return group, len(new)
