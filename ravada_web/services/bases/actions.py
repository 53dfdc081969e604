"""Actions on bases: import, prepare, allow, remove."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.messages import NOTHING, Message, message
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
from ravada_web.services.audit import events
from ravada_web.services.bases import replicas
from ravada_web.services.nodes.listing import master
from ravada_web.services.operations import outbox
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")
LEAST_MEMORY_MIB, MOST_MEMORY_MIB = 32, 1 << 20
MOST_VCPUS = 256


def request_import(
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
    """Request a base made from a domain of the master, or from qcow2 files on it (one absolute path a line).

    Memory and processors are the domain's own, or for files those given. Raises InvalidInput.
    """
    rights.require(actor, "bases.change")
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
        title = message("bases.import", name=name)
        return request(session, "base_import", title, actor=actor, node=master(), params=params)


def invalid_name(session: Session, name: str) -> dict[str, Message]:
    """What is wrong with a new base's name, if anything."""
    if not NAME.fullmatch(name):
        return {"name": message("bases.bad_name")}
    if session.scalar(select(Base.id).where(Base.name == name)):
        return {"name": message("bases.name_taken")}
    return {}


def _invalid_source(source: str, domain: str, files: list[str], memory_mib: int, vcpus: int) -> dict[str, Message]:
    if source == "domain":
        return {} if domain else {"domain": message("bases.no_domain")}
    wrong = {}
    if not files:
        wrong["paths"] = message("bases.no_paths")
    elif any(not PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in files):
        wrong["paths"] = message("bases.bad_paths")
    elif len(set(files)) != len(files):
        wrong["paths"] = message("bases.path_twice")
    if not LEAST_MEMORY_MIB <= memory_mib <= MOST_MEMORY_MIB:
        wrong["memory_mib"] = message("bases.memory_range", least=LEAST_MEMORY_MIB, most=MOST_MEMORY_MIB)
    if not 1 <= vcpus <= MOST_VCPUS:
        wrong["vcpus"] = message("bases.processor_range", most=MOST_VCPUS)
    return wrong


def prepare(actor: User, base: Base) -> Operation:
    """Request a version of the base's disks, for clones to be made from. Raises Conflict."""
    rights.require(actor, "bases.change")
    outbox.require_queue()
    with transaction() as session:
        if base.state in (BaseState.PREPARING, BaseState.READY):
            raise Conflict(message(f"bases.already_{base.state}", base=base.name))
        if not base.node.is_reachable:
            raise Conflict(_unreachable("disks_unreachable", base, base.node))
        base.state, base.reason = BaseState.PREPARING, NOTHING
        events.record(session, actor, "prepare", base)
        title = message("bases.prepare", base=base.name)
        return request(session, "base_prepare", title, actor=actor, node=base.node, base_id=base.id)


def _unreachable(kind: str, base: Base, node: Node) -> Message:
    """What that kind of message says of the node, with the reason where one is known."""
    if node.reason:
        return message(f"bases.{kind}_because", base=base.name, node=node.name, why=node.reason)
    return message(f"bases.{kind}", base=base.name, node=node.name)


def allow(actor: User, base: Base, node_ids: Collection[int]) -> None:
    """Let exactly these nodes run the base. Ticked ones are given a replica, and tried again where that failed; the
    replica of one unticked goes once no clone stands on it. Raises InvalidInput for a node that does not exist."""
    rights.require(actor, "bases.change")
    outbox.require_queue()
    with transaction() as session:
        chosen = set(node_ids)
        nodes = {node.id: node for node in session.scalars(select(Node))}
        if not chosen <= set(nodes):
            raise InvalidInput({"nodes": message("nodes.gone")})
        before = {row.node_id for row in base.allowed}
        base.allowed = [row for row in base.allowed if row.node_id in chosen]
        base.allowed += [AllowedNode(node_id=node_id) for node_id in sorted(chosen - before)]
        names = sorted(nodes[node_id].name for node_id in chosen)
        text = message("bases.allowed_nodes", nodes=names) if names else message("bases.no_nodes")
        events.record(session, actor, "allow", base, text)
        replicas.ensure(session, base, [nodes[node_id] for node_id in sorted(chosen)])
        replicas.settle(session, actor, base_id=base.id, asked=chosen | before)


def remove(actor: User, base: Base) -> Operation:
    """Request the deletion of all replicas of the base, then of its row. Raises Conflict while it is needed."""
    rights.require(actor, "bases.change")
    outbox.require_queue()
    with transaction() as session:
        count = session.scalar(select(func.count()).select_from(Clone).where(Clone.base_id == base.id))
        if count:
            raise Conflict(message("bases.has_clones", base=base.name, count=count))
        if base.state == BaseState.PREPARING:
            raise Conflict(message("bases.being_prepared", base=base.name))
        held = session.scalars(select(Replica).join(Replica.version).where(Replica.version.has(base_id=base.id))).all()
        if away := next((replica.node for replica in held if not replica.node.is_reachable), None):
            raise Conflict(_unreachable("replica_unreachable", base, away))
        base.allowed = []
        events.record(session, actor, "remove", base)
        title = message("bases.remove", base=base.name)
        operation = request(session, "base_remove", title, actor=actor, base_id=base.id)
        for replica in held:
            replica.state, replica.operation_id = ReplicaState.REMOVING, operation.id
        return operation
