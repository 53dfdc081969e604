"""Bases: list, import, prepare, allow on nodes, remove. The nodes' part is in base_work and replica_work."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from ravada_web.errors import Conflict, InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.models import (
    AllowedNode,
    Base,
    BaseState,
    Clone,
    Node,
    Operation,
    Replica,
    ReplicaState,
    User,
)
from ravada_web.services import access, clones, events, outbox, replicas, scopes
from ravada_web.services.nodes import master
from ravada_web.services.operations import ask
from ravada_web.services.pages import natural
from ravada_web.services.transaction import transaction

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")
LEAST_MEMORY_MIB, MOST_MEMORY_MIB = 32, 1 << 20
MOST_VCPUS = 256


@dataclass(frozen=True)
class BaseRow:
    """A line of the list: the base, its version's number, and counts of nodes, ready replicas and clones."""

    base: Base
    version: int | None
    allowed: int
    replicas_ready: int
    clones: int


@dataclass(frozen=True)
class TabRow:
    """A line of the Base tab: a node, whether it is ticked, its replica, and this base's clones on it."""

    node: Node
    allowed: bool
    replica: Replica | None
    clones: int


def listing(viewer: User) -> list[BaseRow]:
    """The bases that the viewer may know of, by name, with their counts."""
    query = select(Base).options(selectinload(Base.versions), selectinload(Base.allowed)).where(scopes.bases(viewer))
    bases = sorted(db.session.scalars(query), key=lambda base: natural(base.name))
    clones_of = dict(db.session.execute(select(Clone.base_id, func.count()).group_by(Clone.base_id)).all())
    ready = select(Replica.version_id, func.count()).where(Replica.state == ReplicaState.READY)
    ready_of = dict(db.session.execute(ready.group_by(Replica.version_id)).all())
    return [_row(base, clones_of, ready_of) for base in bases]


def _row(base: Base, clones_of: dict[int, int], ready_of: dict[int, int]) -> BaseRow:
    version = base.current
    number, ready = (version.number, ready_of.get(version.id, 0)) if version else (None, 0)
    return BaseRow(base, number, len(base.allowed), ready, clones_of.get(base.id, 0))


def cloneable(viewer: User) -> Sequence[Base]:
    """The bases that the viewer can ask clones of, by name."""
    ready = db.session.scalars(select(Base).where(Base.state == BaseState.READY, scopes.bases(viewer)))
    return sorted(ready, key=lambda base: natural(base.name))


def get(viewer: User, base_id: int) -> Base:
    """One base. Raises NotFound, for one that the viewer may not know of too."""
    base = db.session.scalar(select(Base).where(Base.id == base_id, scopes.bases(viewer)))
    if base is None:
        raise NotFound(_("There is no such base."))
    return base


def importable() -> list[str]:
    """The names of the master's domains that are none of ours, as its last check saw them."""
    found = db.session.scalar(select(Node).where(Node.is_master))
    return found.other_domains if found else []


def begin_import(
    actor: User,
    *,
    name: str,
    description: str,
    source: str,
    domain: str = "",
    paths: str = "",
    memory_mib: int = 0,
    vcpus: int = 0,
) -> Operation:
    """Ask for a base made from a domain of the master, or from qcow2 files on it (one absolute path a line).

    Memory and processors are the domain's own, or for files those given. Raises InvalidInput.
    """
    access.require(actor, "bases.change")
    outbox.require_queue()
    files = [line.strip() for line in paths.splitlines() if line.strip()]
    with transaction() as session:
        wrong = invalid_name(session, name) | _invalid_source(source, domain, files, memory_mib, vcpus)
        if wrong:
            raise InvalidInput(wrong)
        params: dict[str, Any] = {
            "name": name,
            "description": description,
            "source": source,
            "domain": domain,
            "paths": files,
        }
        params.update(memory_mib=memory_mib, vcpus=vcpus)
        return ask(session, "base_import", _("Import %(name)s", name=name), actor=actor, node=master(), params=params)


def invalid_name(session: Session, name: str) -> dict[str, str]:
    """What is wrong with a new base's name, if anything."""
    if not NAME.fullmatch(name):
        return {"name": _("Letters, digits, spaces, dots, dashes and underscores, at most 63.")}
    if session.scalar(select(Base.id).where(Base.name == name)):
        return {"name": _("Another base has this name.")}
    return {}


def _invalid_source(source: str, domain: str, files: list[str], memory_mib: int, vcpus: int) -> dict[str, str]:
    if source == "domain":
        return {} if domain else {"domain": _("Choose a virtual machine of the master.")}
    wrong = {}
    if not files:
        wrong["paths"] = _("Give the path of at least one qcow2 file on the master.")
    elif any(not PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in files):
        wrong["paths"] = _("Absolute paths on the master, one a line, without “..”.")
    elif len(set(files)) != len(files):
        wrong["paths"] = _("A file can be only one of the disks.")
    if not LEAST_MEMORY_MIB <= memory_mib <= MOST_MEMORY_MIB:
        wrong["memory_mib"] = _("Between %(least)s and %(most)s MiB.", least=LEAST_MEMORY_MIB, most=MOST_MEMORY_MIB)
    if not 1 <= vcpus <= MOST_VCPUS:
        wrong["vcpus"] = _("Between 1 and %(most)s.", most=MOST_VCPUS)
    return wrong


def prepare(actor: User, base: Base) -> Operation:
    """Ask for the base's disks to be made into a version that clones can stand on. Raises Conflict."""
    access.require(actor, "bases.change")
    outbox.require_queue()
    with transaction() as session:
        if base.state in (BaseState.PREPARING, BaseState.READY):
            raise Conflict(_("%(base)s is %(state)s already.", base=base.name, state=base.state))
        _require_reachable(base.node)
        base.state, base.reason = BaseState.PREPARING, ""
        events.record(session, actor, "prepare", base)
        title = _("Prepare %(base)s", base=base.name)
        return ask(session, "base_prepare", title, actor=actor, node=base.node, base_id=base.id)


def _require_reachable(node: Node) -> None:
    if not clones.reachable(node):
        text = _("Node %(node)s, where its disks are, is %(state)s.", node=node.name, state=node.observed)
        raise Conflict(f"{text} {node.reason}")


def tab(viewer: User, base: Base) -> list[TabRow]:
    """The Base tab: a line for every node that the viewer may know of, the master first."""
    nodes = sorted(
        db.session.scalars(select(Node).where(scopes.nodes(viewer))),
        key=lambda node: (not node.is_master, natural(node.name)),
    )
    allowed = set(db.session.scalars(select(AllowedNode.node_id).where(AllowedNode.base_id == base.id)))
    version_id = base.current.id if base.current else None
    held = {r.node_id: r for r in db.session.scalars(select(Replica).where(Replica.version_id == version_id))}
    count = select(Clone.node_id, func.count()).where(Clone.base_id == base.id).group_by(Clone.node_id)
    clones_on = dict(db.session.execute(count).all())
    return [TabRow(node, node.id in allowed, held.get(node.id), clones_on.get(node.id, 0)) for node in nodes]


def allow(actor: User, base: Base, node_ids: Collection[int]) -> None:
    """Let exactly these nodes run the base. Newly ticked ones are given a replica; the replica of one unticked
    goes once no clone stands on it. Raises InvalidInput for a node that does not exist."""
    access.require(actor, "bases.change")
    outbox.require_queue()
    with transaction() as session:
        wanted = set(node_ids)
        nodes = {node.id: node for node in session.scalars(select(Node))}
        if not wanted <= set(nodes):
            raise InvalidInput({"nodes": _("One of these nodes does not exist any more; load the page again.")})
        before = {row.node_id for row in base.allowed}
        base.allowed = [row for row in base.allowed if row.node_id in wanted]
        base.allowed += [AllowedNode(node_id=node_id) for node_id in sorted(wanted - before)]
        names = ", ".join(sorted(nodes[node_id].name for node_id in wanted)) or _("no node")
        events.record(session, actor, "allow", base, names)
        replicas.ensure(session, actor, base, [nodes[node_id] for node_id in sorted(wanted)])
        replicas.drop_unused(session, actor, base, [nodes[node_id] for node_id in sorted(before - wanted)])


def remove(actor: User, base: Base) -> Operation:
    """Ask for the base's replicas to be deleted everywhere, and then its row. Raises Conflict while it is needed."""
    access.require(actor, "bases.change")
    outbox.require_queue()
    with transaction() as session:
        count = session.scalar(select(func.count()).select_from(Clone).where(Clone.base_id == base.id))
        if count:
            raise Conflict(_("%(base)s has %(count)s clones. Delete them first.", base=base.name, count=count))
        if base.state == BaseState.PREPARING:
            raise Conflict(_("%(base)s is being prepared. Cancel that first.", base=base.name))
        held = session.scalars(select(Replica).join(Replica.version).where(Replica.version.has(base_id=base.id))).all()
        for replica in held:
            if not clones.reachable(replica.node):
                text = _("Node %(node)s holds a replica and is not reachable.", node=replica.node.name)
                raise Conflict(f"{text} {replica.node.reason}")
            replica.state = ReplicaState.REMOVING
        base.allowed = []
        events.record(session, actor, "remove", base)
        return ask(session, "base_remove", _("Remove %(base)s", base=base.name), actor=actor, base_id=base.id)
