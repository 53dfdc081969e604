"""Nodes as pages list them: rows with their counts, one node, the master."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, case, func, select

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import (
    USING_MEMORY,
    Clone,
    Node,
    Replica,
    ReplicaState,
    ServiceState,
    User,
)
from ravada_web.services.paging import Page, cut, natural
from ravada_web.services.permissions import scopes

_GONE = Node.service_state == ServiceState.GIVEN_UP


@dataclass(frozen=True)
class NodeRow:
    """A line of the list: the node, its clones, those that run, and the bases ready on it."""

    node: Node
    clones: int
    running: int
    bases: int


def listing(viewer: User) -> list[NodeRow]:
    """The nodes that the viewer may know of, the master first, with their counts; also those given up."""
    return _rows(sorted(db.session.scalars(select(Node).where(scopes.nodes(viewer))), key=_order))


def page(viewer: User, search: str = "", number: int = 1, *, given_up: bool = False) -> Page[NodeRow]:
    """One page of the nodes that the viewer may know of, whose name or address is like the search, the master first;
    those alone that were given up, or all others."""
    query = select(Node.id, Node.name, Node.is_master).where(scopes.nodes(viewer), _GONE if given_up else ~_GONE)
    if search:
        like = Node.name.icontains(search, autoescape=True) | Node.address.icontains(search, autoescape=True)
        query = query.where(like)
    rows = cut(sorted(db.session.execute(query), key=_order), number)
    ids = [row.id for row in rows.items]
    nodes = sorted(db.session.scalars(select(Node).where(Node.id.in_(ids))), key=_order)
    return Page(_rows(nodes), rows.total, rows.page, rows.pages)


def count_given_up(viewer: User) -> int:
    """How many nodes that the viewer may know of were given up."""
    return db.session.scalar(select(func.count()).select_from(Node).where(scopes.nodes(viewer), _GONE)) or 0


def row_of(node: Node) -> NodeRow:
    """The line of one node."""
    return _rows([node])[0]


def _order(node: Any) -> tuple[bool, list[str | int]]:
    return (not node.is_master, natural(node.name))


def _rows(nodes: Sequence[Node]) -> list[NodeRow]:
    ids = [node.id for node in nodes]
    in_use = func.count(case((Clone.state_in_use.in_(USING_MEMORY), 1)))
    query = select(Clone.node_id, func.count(), in_use).where(Clone.node_id.in_(ids)).group_by(Clone.node_id)
    clones = {node_id: (every, running) for node_id, every, running in db.session.execute(query)}
    ready = select(Replica.node_id, func.count()).where(Replica.state == ReplicaState.READY, Replica.node_id.in_(ids))
    bases = dict(db.session.execute(ready.group_by(Replica.node_id)).all())
    return [NodeRow(node, *clones.get(node.id, (0, 0)), bases.get(node.id, 0)) for node in nodes]


def get(viewer: User, node_id: int) -> Node:
    """One node. Raises NotFound, for one that the viewer may not know of too."""
    node = db.session.scalar(select(Node).where(Node.id == node_id, scopes.nodes(viewer)))
    if node is None:
        raise NotFound(message("nodes.no_such"))
    return node


def by_name(viewer: User, name: str) -> Node:
    """The node of that name. Raises NotFound, for one that the viewer may not know of too."""
    node = db.session.scalar(select(Node).where(Node.name == name, scopes.nodes(viewer)))
    if node is None:
        raise NotFound(message("nodes.not_found", name=name))
    return node


def master() -> Node:
    """The master node. Raises NotFound where none has been added yet."""
    node = db.session.scalar(select(Node).where(Node.is_master))
    if node is None:
        raise NotFound(message("nodes.no_master"))
    return node


def choices(viewer: User) -> list[Row[int, str]]:
    """The id and name of each node that the viewer may know of, by name."""
    rows = db.session.execute(select(Node.id, Node.name).where(scopes.nodes(viewer)))
    return sorted(rows, key=lambda row: natural(row.name))
