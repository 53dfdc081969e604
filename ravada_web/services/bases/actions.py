"""Actions on bases: import, prepare, allow, remove."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any, NotRequired, TypedDict, Unpack

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
    OperationState,
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
from ravada_web.services.transaction import hold_lock, hold_rows, transaction

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")
LEAST_MEMORY_MIB, MOST_MEMORY_MIB = 32, 1 << 20
MOST_VCPUS = 256


class Wanted(TypedDict):
    """A base that is wanted: from a domain of the master, or from qcow2 files on it (one absolute path a line).

    Memory (MiB) and processors are the domain's own; for files they are given.
    """

    name: str
    description: str
    source: str
    domain: NotRequired[str]
    paths: NotRequired[str]
    memory_mib: NotRequired[int]
    vcpus: NotRequired[int]


def request_import(actor: User, **wanted: Unpack[Wanted]) -> Operation:
    """Request a base. Raises InvalidInput."""
    return _import(actor, _params(wanted))


def request_inspection(actor: User, **wanted: Unpack[Wanted]) -> Operation:
    """Request the list of what would become of each element if this were imported. Raises InvalidInput."""
    return _inspect(actor, _params(wanted))


def _params(wanted: Wanted) -> dict[str, Any]:
    paths = [line.strip() for line in wanted.get("paths", "").splitlines() if line.strip()]
    return {"domain": "", "memory_mib": 0, "vcpus": 0, **wanted, "paths": paths}


def inspect_again(actor: User, inspection: Operation) -> Operation:
    """Request the same list anew. Raises InvalidInput."""
    return _inspect(actor, inspection.params)


def request_import_as_listed(actor: User, inspection: Operation) -> Operation:
    """Request the import of what an inspection listed; it fails where that has changed since. Raises InvalidInput,
    and Conflict while the list is not there."""
    if inspection.state != OperationState.DONE:
        raise Conflict(message("bases.not_listed"))
    return _import(actor, {**inspection.params, "listed": inspection.result["findings"]})


def _import(actor: User, params: dict[str, Any]) -> Operation:
    return _request(actor, "base_import", message("bases.import", name=params["name"]), params)


def _inspect(actor: User, params: dict[str, Any]) -> Operation:
    return _request(actor, "base_inspect", message("bases.inspect", name=params["name"]), params)


def _request(actor: User, kind: str, title: Message, params: dict[str, Any]) -> Operation:
    rights.require(actor, "bases.change")
    outbox.require_queue()
    with transaction() as session:
        if wrong := invalid_name(session, params["name"]) | _invalid_source(params):
            raise InvalidInput(wrong)
        return request(session, kind, title, actor=actor, node=master(), params=params)


def invalid_name(session: Session, name: str) -> dict[str, Message]:
    """What is wrong with a new base's name, if anything."""
    if not NAME.fullmatch(name):
        return {"name": message("bases.bad_name")}
    if session.scalar(select(Base.id).where(Base.name == name)):
        return {"name": message("bases.name_taken")}
    return {}


def _invalid_source(params: dict[str, Any]) -> dict[str, Message]:
    files, memory_mib, vcpus = params["paths"], params["memory_mib"], params["vcpus"]
    if params["source"] == "domain":
        return {} if params["domain"] else {"domain": message("bases.no_domain")}
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
        session.refresh(base, with_for_update={"key_share": True})  # of two who ask at once, one is told
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
    if node.why:
        return message(f"bases.{kind}_because", base=base.name, node=node.name, why=node.why)
    return message(f"bases.{kind}", base=base.name, node=node.name)


def allow(actor: User, base: Base, node_ids: Collection[int]) -> None:
    """Let exactly these nodes run the base. Ticked ones are given a replica, and tried again where that failed; the
    replica of one unticked goes once no clone stands on it. Raises InvalidInput for a node that does not exist."""
    rights.require(actor, "bases.change")
    outbox.require_queue()
    with transaction() as session:
        chosen = set(node_ids)
        hold_rows(session, Node, chosen)
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
        hold_lock(session, "placement")  # nobody makes a clone of it meanwhile
        count = session.scalar(select(func.count()).select_from(Clone).where(Clone.base_id == base.id))
        if count:
            raise Conflict(message("bases.has_clones", base=base.name, count=count))
        if base.state == BaseState.PREPARING:
            raise Conflict(message("bases.being_prepared", base=base.name))
        held = session.scalars(select(Replica).join(Replica.version).where(Replica.version.has(base_id=base.id))).all()
        if away := next((row.node for row in held if row.directory and not row.node.is_reachable), None):
            raise Conflict(_unreachable("replica_unreachable", base, away))
        base.allowed = []
        events.record(session, actor, "remove", base)
        title = message("bases.remove", base=base.name)
        operation = request(session, "base_remove", title, actor=actor, base_id=base.id)
        for replica in held:
            replica.state, replica.operation_id = ReplicaState.REMOVING, operation.id
        return operation
