"""What a page may be told of as it changes: the rights to topics, and digests of what people's desktops look like."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import func, or_, select

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.models import Base, BaseOffer, Clone, Console, GroupMember, Node, Operation, SignIn, User
from ravada_web.services import access, bases, clones, nodes, operations, scopes, sign_ins
from ravada_web.services.scopes import Scope

MOST_TOPICS = 12
# The right that each kind of row asks for.
_RIGHTS = {
    "nodes": "nodes.see",
    "states": "nodes.see",
    "bases": "bases.see",
    "clones": "clones.see_all",
    "operations": "operations.see",
    "people": "users.see",
    "audit": "audit.see",
}
# What one object's topic, or one person's desktops, hear of: a change of these kinds of rows.
HEARS: Mapping[str, tuple[str, ...]] = {
    "node": ("nodes", "clones"),
    "base": ("bases", "clones"),
    "operation": ("operations",),
    "clone": ("clones", "states", "consoles"),
    "desktops": ("clones", "states", "operations", "bases", "people"),
}


@dataclass(frozen=True)
class Listener:
    """Who listens: by which sign-in, and the role and part of the house by which the topics were granted."""

    sign_in_id: int
    role: str
    scope: Scope | None


def subscribe(token: str, wanted: Sequence[str]) -> tuple[Listener, dict[str, str]] | None:
    """Who listens and, for each topic that was asked for, the one that it is told of; None without a sign-in.

    "desktops" is the asker's own. Raises NotAllowed and NotFound for what the asker may not see.
    """
    found = sign_ins.find(token)
    if found is None:
        return None
    return _listener(found), {topic: _granted(found.user, topic) for topic in wanted[:MOST_TOPICS]}


def _listener(found: SignIn) -> Listener:
    return Listener(found.id, found.user.role, scopes.of(found.user))


def _granted(viewer: User, topic: str) -> str:
    if topic == "desktops":
        return f"desktops-{viewer.id}"
    if topic in _RIGHTS:
        access.require(viewer, _RIGHTS[topic])
        return topic
    kind, _dash, number = topic.partition("-")
    if not (number.isascii() and number.isdecimal()) or len(number) > 9:
        raise NotFound(_("There is no such thing to listen to."))
    _load(viewer, kind, int(number))
    return topic


def _load(viewer: User, kind: str, object_id: int) -> None:
    """Raise NotAllowed or NotFound unless the viewer may see the object."""
    if kind == "clone":
        clones.get(viewer, object_id)
    elif kind == "operation":
        operations.get(viewer, object_id)
    elif kind == "node":
        access.require(viewer, "nodes.see")
        nodes.get(viewer, object_id)
    elif kind == "base":
        access.require(viewer, "bases.see")
        bases.get(viewer, object_id)
    else:
        raise NotFound(_("There is no such thing to listen to."))


def holding(listeners: Collection[Listener]) -> set[Listener]:
    """Which of these may go on: the sign-in holds, and role and part are what they were. The others ask anew."""
    valid = sign_ins.still_valid({listener.sign_in_id for listener in listeners})
    return {_listener(found) for found in valid}.intersection(listeners)


def digests(topics: Collection[str]) -> dict[str, str]:
    """A digest for each of these "desktops-N" and "clone-N": it differs when what their pages show has changed."""
    owners, ids = _numbers(topics, "desktops"), _numbers(topics, "clone")
    offers = _offers() if owners else ""
    lines: dict[str, list[str]] = defaultdict(list, {f"desktops-{owner}": [offers] for owner in owners})
    shown = (Clone.id, Clone.owner_id, Clone.state, Clone.start_after, Clone.reason, Clone.viewers_refused, Clone.name)
    of_node = (Node.observed, Node.trust, Node.wanted)
    query = select(*shown, *of_node, Operation.state).join(Node, Node.id == Clone.node_id).order_by(Clone.id)
    query = query.outerjoin(Operation, Operation.id == Clone.operation_id)
    for row in db.session.execute(query.where(or_(Clone.owner_id.in_(owners), Clone.id.in_(ids)))):
        lines[f"clone-{row.id}"].append(repr(tuple(row)))
        lines[f"desktops-{row.owner_id}"].append(repr(tuple(row)))
    open_ones = select(Console.id, Console.clone_id).where(Console.closed_at.is_(None), Console.clone_id.in_(ids))
    for console_id, clone_id in db.session.execute(open_ones.order_by(Console.id)):
        lines[f"clone-{clone_id}"].append(f"console {console_id}")
    return {topic: hashlib.sha256("\n".join(lines[topic]).encode()).hexdigest() for topic in topics}


def _offers() -> str:
    """What is offered to whom, as one text for all: it changes seldom, and then every user's page may."""
    bases = db.session.execute(select(Base.id, Base.name, Base.state, Base.offered_to_all).order_by(Base.id))
    offers = select(BaseOffer.base_id, BaseOffer.group_id, BaseOffer.user_id).order_by(BaseOffer.id)
    members = select(GroupMember.group_id, func.count()).group_by(GroupMember.group_id).order_by(GroupMember.group_id)
    return repr(
        [[tuple(row) for row in found] for found in (bases, db.session.execute(offers), db.session.execute(members))]
    )


def _numbers(topics: Collection[str], kind: str) -> list[int]:
    return [int(topic.partition("-")[2]) for topic in topics if topic.startswith(f"{kind}-")]
