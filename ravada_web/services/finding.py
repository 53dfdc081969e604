"""Whatever has a name, found by a part of it: desktops, users, groups, bases and nodes that the viewer may know of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, lazyload

from ravada_web.extensions import db
from ravada_web.models import Base, Clone, Group, Node, User
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.permissions import rights, scopes

Row = TypeVar("Row", Clone, User, Group, Base, Node)

# Of each kind; whoever looks for one thing types a letter more.
MOST = 6
LONGEST = 100


@dataclass(frozen=True)
class Found:
    """What is called so, of each kind the first ones: whose names begin so, then by name."""

    clones: Sequence[Clone] = ()
    users: Sequence[User] = ()
    groups: Sequence[Group] = ()
    bases: Sequence[Base] = ()
    nodes: Sequence[Node] = ()

    def __bool__(self) -> bool:
        return any(vars(self).values())


def find(viewer: User, text: str) -> Found:
    """What the viewer may know of whose name has the text in it, whatever its case; a node's address, too."""
    text = text.strip()[:LONGEST]
    if not text:
        return Found()
    clones = clone_list.visible(viewer).options(lazyload(Clone.nics))
    found: dict[str, Any] = {"clones": _first(clones, Clone.name, text)}
    if rights.can(viewer, "users.see"):
        found["users"] = _first(select(User).where(scopes.people(viewer)), User.name, text)
        found["groups"] = _first(select(Group).where(scopes.groups(viewer)), Group.name, text)
    if rights.can(viewer, "bases.see"):
        found["bases"] = _first(select(Base).where(scopes.bases(viewer)), Base.name, text)
    if rights.can(viewer, "nodes.see"):
        nodes = select(Node).where(scopes.nodes(viewer)).options(lazyload(Node.pools))
        found["nodes"] = _first(nodes, Node.name, text, Node.address)
    return Found(**found)


def _first(
    query: Select[Row], name: InstrumentedAttribute[str], text: str, also: InstrumentedAttribute[str] | None = None
) -> Sequence[Row]:
    like = name.icontains(text, autoescape=True)
    if also is not None:
        like |= also.icontains(text, autoescape=True)
    begins = name.istartswith(text, autoescape=True)
    query = query.where(like).order_by(begins.desc(), func.lower(name), name).limit(MOST)
    return db.session.scalars(query).all()
