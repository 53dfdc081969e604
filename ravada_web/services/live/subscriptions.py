"""Who may listen to which topics."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ravada_web.errors import NotFound
from ravada_web.messages import message
from ravada_web.models import User, UserSession
from ravada_web.services.bases import listing as base_list
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.permissions.scopes import Scope
from ravada_web.services.sign_in import sessions

MOST_TOPICS = 12
# The right that each kind of row asks for.
_RIGHTS = {
    "nodes": "nodes.see",
    "states": "nodes.see",
    "plans": "nodes.change",
    "bases": "bases.see",
    "clones": "clones.see_all",
    "operations": "operations.see",
    "people": "users.see",
    "audit": "audit.see",
}
# What stands still is on everybody's pages. A page that says nothing of it asks for STANDSTILL, one that does for
# STANDS_STILL: each is told at once where that is no longer so.
STANDSTILL, STANDS_STILL = "standstill", "stands_still"
# The kinds of rows whose changes concern one object's topic, or one person's desktops.
HEARS: Mapping[str, tuple[str, ...]] = {
    "node": ("nodes", "clones"),
    "base": ("bases", "clones"),
    "operation": ("operations",),
    "clone": ("clones", "states", "consoles", "operations", "plans"),
    "desktops": ("clones", "states", "operations", "bases", "people", "plans"),
}


@dataclass(frozen=True)
class Listener:
    """A listener: its session, and the role and scope by which its topics were granted."""

    sign_in_id: int
    role: str
    scope: Scope | None


def subscribe(token: str, topics: Sequence[str]) -> tuple[Listener, dict[str, str]] | None:
    """Returns the listener and, for each requested topic, the one it is granted; None without a valid session.
    "desktops" are the viewer's own. Raises NotAllowed and NotFound for what the viewer may not see.
    """
    row = sessions.find(token)
    if row is None:
        return None
    return _listener(row), {topic: _granted(row.user, topic) for topic in topics[:MOST_TOPICS]}


def _listener(row: UserSession) -> Listener:
    return Listener(row.id, row.user.role, scopes.of(row.user))


def _granted(viewer: User, topic: str) -> str:
    if topic == "desktops":
        return f"desktops-{viewer.id}"
    if topic in (STANDSTILL, STANDS_STILL):
        return topic
    if topic in _RIGHTS:
        rights.require(viewer, _RIGHTS[topic])
        return topic
    kind, _dash, number = topic.partition("-")
    if not (number.isascii() and number.isdecimal()) or len(number) > 9:
        raise NotFound(message("general.no_topic"))
    _load(viewer, kind, int(number))
    return topic


def _load(viewer: User, kind: str, object_id: int) -> None:
    """Raise NotAllowed or NotFound unless the viewer may see the object."""
    if kind == "clone":
        clone_list.get(viewer, object_id)
    elif kind == "operation":
        operation_list.get(viewer, object_id)
    elif kind == "node":
        rights.require(viewer, "nodes.see")
        node_list.get(viewer, object_id)
    elif kind == "base":
        rights.require(viewer, "bases.see")
        base_list.get(viewer, object_id)
    else:
        raise NotFound(message("general.no_topic"))


def holding(listeners: Collection[Listener]) -> set[Listener]:
    """Which of these may go on: the session is valid, and role and scope are unchanged. The others subscribe again."""
    valid = sessions.still_valid({listener.sign_in_id for listener in listeners})
    return {_listener(row) for row in valid}.intersection(listeners)
