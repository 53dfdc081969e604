"""Nodes: list, get, remove, and what their names and addresses may be.

What is set of one is in node_settings, joining in node_joining, checks in node_checks.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import case, func, select

from ravada_web.errors import Conflict, NotFound
from ravada_web.extensions import db
from ravada_web.models import (
    USING_MEMORY,
    Base,
    Clone,
    Node,
    Observed,
    Replica,
    ReplicaState,
    User,
)
from ravada_web.remote.keys import ensure_keypair
from ravada_web.remote.ssh import fingerprint_of
from ravada_web.services import access, events, scopes
from ravada_web.services.operations import settings
from ravada_web.services.pages import Page, cut, natural
from ravada_web.services.transaction import transaction

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class NodeRow:
    """A line of the list: the node, its clones, those that run, and the bases ready on it."""

    node: Node
    clones: int
    running: int
    bases: int


def listing(viewer: User) -> list[NodeRow]:
    """The nodes that the viewer may know of, the master first, with their counts."""
    return _rows(sorted(db.session.scalars(select(Node).where(scopes.nodes(viewer))), key=_order))


def page(viewer: User, search: str = "", number: int = 1) -> Page[NodeRow]:
    """One page of the nodes that the viewer may know of, whose name or address is like the search, the master first."""
    query = select(Node.id, Node.name, Node.is_master).where(scopes.nodes(viewer))
    if search:
        like = Node.name.icontains(search, autoescape=True) | Node.address.icontains(search, autoescape=True)
        query = query.where(like)
    found = cut(sorted(db.session.execute(query), key=_order), number)
    ids = [row.id for row in found.items]
    nodes = sorted(db.session.scalars(select(Node).where(Node.id.in_(ids))), key=_order)
    return Page(_rows(nodes), found.total, found.page, found.pages)


def row_of(node: Node) -> NodeRow:
    """The line of one node."""
    return _rows([node])[0]


def _order(node: Any) -> tuple[bool, list[str | int]]:
    return (not node.is_master, natural(node.name))


def _rows(nodes: Sequence[Node]) -> list[NodeRow]:
    ids = [node.id for node in nodes]
    in_use = func.count(case((Clone.state.in_(USING_MEMORY), 1)))
    there = select(Clone.node_id, func.count(), in_use).where(Clone.node_id.in_(ids)).group_by(Clone.node_id)
    clones = {node_id: (every, running) for node_id, every, running in db.session.execute(there)}
    ready = select(Replica.node_id, func.count()).where(Replica.state == ReplicaState.READY, Replica.node_id.in_(ids))
    bases = dict(db.session.execute(ready.group_by(Replica.node_id)).all())
    return [NodeRow(node, *clones.get(node.id, (0, 0)), bases.get(node.id, 0)) for node in nodes]


def get(viewer: User, node_id: int) -> Node:
    """One node. Raises NotFound, for one that the viewer may not know of too."""
    node = db.session.scalar(select(Node).where(Node.id == node_id, scopes.nodes(viewer)))
    if node is None:
        raise NotFound(_("There is no such node."))
    return node


def master() -> Node:
    """The master node. Raises NotFound where none has been added yet."""
    node = db.session.scalar(select(Node).where(Node.is_master))
    if node is None:
        raise NotFound(_("There is no master node yet: add a node first, the first one is the master."))
    return node


def fingerprint(host_key: str) -> str:
    """What a person compares of a host key ("SHA256:…"), "" of none."""
    return fingerprint_of(host_key) if host_key else ""


def public_key() -> str:
    """The product's own public key: a node that has it in its authorized_keys lets us in."""
    return ensure_keypair(settings().ssh_key)


def invalid_place(
    name: str, address: str, port: int, user: str, *, except_id: int | None = None, local: bool = False
) -> dict[str, str]:
    """What is wrong with a node's name and address: malformed, or another node's. Maps fields to reasons."""
    wrong = {}
    if not NAME.fullmatch(name):
        wrong["name"] = _("Letters, digits, dots, dashes and underscores; it starts with a letter or digit.")
    elif db.session.scalar(select(Node.id).where(Node.name == name, Node.id != except_id)):
        wrong["name"] = _("Another node has this name.")
    if not local:
        wrong |= _invalid_address(address, port, except_id)
        if not USER.fullmatch(user):
            wrong["user"] = _("A user name of that host, such as root.")
    return wrong


def _invalid_address(address: str, port: int, except_id: int | None) -> dict[str, str]:
    if not 1 <= port <= 65535:
        return {"port": _("Between 1 and 65535.")}
    if not (HOST.fullmatch(address) or is_ip(address)):
        return {"address": _("A host name or an IP address, without scheme, user or port.")}
    taken = select(Node.name).where(Node.address == address, Node.port == port, Node.id != except_id)
    if other := db.session.scalar(taken):
        return {"address": _("Node %(name)s has this address already.", name=other)}
    return {}


def is_ip(address: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def remove(actor: User, node: Node) -> None:
    """Forget a node and close its link. Raises Conflict while anything of ours stands on it."""
    access.require(actor, "nodes.change")
    with transaction() as session:
        count = session.scalar(select(func.count()).select_from(Clone).where(Clone.node_id == node.id))
        if count:
            raise Conflict(_("Node %(node)s has %(count)s clones. Delete them first.", node=node.name, count=count))
        if node.is_master and session.scalar(select(Base.id).limit(1)):
            raise Conflict(_("The master holds the bases that the others are given; it cannot be removed."))
        if session.scalar(select(func.count()).select_from(Replica).where(Replica.node_id == node.id)):
            if node.observed != Observed.DOWN:
                raise Conflict(
                    _(
                        "Node %(node)s has replicas of bases. Untick it in their Base tabs first.",
                        node=node.name,
                    )
                )
            for replica in session.scalars(select(Replica).where(Replica.node_id == node.id)):
                session.delete(replica)
        events.record(session, actor, "remove", node, f"{node.address}:{node.port}")
        session.delete(node)
