"""What menus and suggestions offer: names alone, in one query each; and whom a typed name means."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Row, func, select

from ravada_web.extensions import db
from ravada_web.models import Base, Node, User
from ravada_web.services import access, scopes
from ravada_web.services.pages import natural

SUGGESTIONS = 20


def nodes(viewer: User) -> list[Row[int, str]]:
    """The id and name of each node that the viewer may know of, by name."""
    found = db.session.execute(select(Node.id, Node.name).where(scopes.nodes(viewer)))
    return sorted(found, key=lambda row: natural(row.name))


def bases(viewer: User) -> list[Row[int, str]]:
    """The id and name of each base that the viewer may know of, by name."""
    found = db.session.execute(select(Base.id, Base.name).where(scopes.bases(viewer)))
    return sorted(found, key=lambda row: natural(row.name))


def people(viewer: User, text: str) -> Sequence[str]:
    """The names of the first users who may sign in and whose name has the text in it. Raises NotAllowed."""
    access.require(viewer, "users.see")
    like = User.name.icontains(text, autoescape=True)
    query = select(User.name).where(User.active, like).order_by(func.lower(User.name), User.name).limit(SUGGESTIONS)
    return db.session.scalars(query).all()


def named_like(text: str) -> ColumnElement[bool]:
    """The user of exactly that name; where there is none, those with the text in their name."""
    exact = select(User.id).where(User.name == text).correlate(None)
    return (User.name == text) | (~exact.exists() & User.name.icontains(text, autoescape=True))
