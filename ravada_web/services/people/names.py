"""Names of users as they are typed: suggestions, and the users they match."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select

from ravada_web.extensions import db
from ravada_web.models import User
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.sign_in.names import meant_by

SUGGESTIONS = 20


def suggestions(viewer: User, text: str) -> Sequence[str]:
    """The names of the first users that the viewer may know of, who may sign in and whose name has the text in it.
    Raises NotAllowed."""
    rights.require(viewer, "users.see")
    like = User.name.icontains(text, autoescape=True)
    query = select(User.name).where(User.active, like, scopes.people(viewer))
    query = query.order_by(func.lower(User.name), User.name).limit(SUGGESTIONS)
    return db.session.scalars(query).all()


def named_like(viewer: User, text: str) -> ColumnElement[bool]:
    """Of the users that the viewer may know of the one of that name; where there is none, those with the text in their
    name. One whom the viewer may not know of makes no difference."""
    known = scopes.people(viewer)
    exact = select(User.id).where(meant_by(text), known).correlate(None)
    return known & (meant_by(text) | (~exact.exists() & User.name.icontains(text, autoescape=True)))
