"""The user that a typed name means: names that differ in upper and lower case alone are one user's.

There may be two such users of before that was so: each is found by the exact name alone.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from ravada_web.models import User, name_key
from ravada_web.services.batches import batched

_CHUNK = 2000


def find(session: Session, name: str) -> User | None:
    """The user of that name, if there is one."""
    return session.scalar(select(User).where(meant_by(name)).order_by(User.name != name).limit(1))


def meant_by(name: str) -> ColumnElement[bool]:
    """The user of that name; where there are two but for case, the one whose name is exactly that."""
    return or_(User.name == name, User.name_key == name_key(name))


def find_all(session: Session, names: Collection[str]) -> dict[str, User]:
    """The users of these names, by the names as they are given; those that do not exist are left out."""
    exact: dict[str, User] = {}
    by_key: dict[str, User] = {}
    for some in batched(list(names), _CHUNK):
        query = select(User).where(or_(User.name.in_(some), User.name_key.in_([name_key(name) for name in some])))
        for user in session.scalars(query):
            exact[user.name] = by_key[user.name_key] = user
    found = {name: exact.get(name) or by_key.get(name_key(name)) for name in names}
    return {name: user for name, user in found.items() if user is not None}


def alike(session: Session, names: Collection[str]) -> dict[str, list[str]]:
    """The names of users that are these but for case, by what they have in common (`name_key`)."""
    found: dict[str, list[str]] = {}
    for some in batched(list(names), _CHUNK):
        query = select(User.name).where(func.lower(User.name).in_([name_key(name) for name in some]))
        for name in session.scalars(query):
            found.setdefault(name_key(name), []).append(name)
    return found
