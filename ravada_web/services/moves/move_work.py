"""Moving a clone that is off: its files are copied and verified, then its row is switched, then the source's definition
goes, and only then is it defined at the target.

Every step may be done twice, and the work may die after any: the next attempt goes on from what it finds. Until the
switch the source is the clone, and what is at the target is a copy that never starts; from the switch on it is the
reverse. Which is which stands in two rows that one transaction changes: the clone's, with its node, and that of its
remains on the other node, which removes them whatever becomes of the work.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

import libvirt
from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.orm import Session

from ravada_web.clock import has_come, is_recent
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.domain_xml import bound_to_host, for_other_node, tpm_version
from ravada_web.hypervisor.facts import NodeFacts, read_networks
from ravada_web.hypervisor.platform import read_platform
from ravada_web.messages import Message, message
from ravada_web.models import (
    OVER,
    Cause,
    Clone,
    CloneState,
    Decision,
    FileKind,
    Node,
    Operation,
    OperationState,
    Remains,
    Replica,
    ReplicaState,
    User,
    now,
)
from ravada_web.platforms import Platform
from ravada_web.remote import tpm
from ravada_web.remote.target import Target
from ravada_web.services.audit import events
from ravada_web.services.bases import migration
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import base_files, power_work, remains
from ravada_web.services.clones.batch import claimed_clones, replica_directory, set_state
from ravada_web.services.clones.deletion_work import SILENT
from ravada_web.services.moves.copying import Copying, File
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.facts import facts_of
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.execution import Cancelled, Handle, end
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import MOVED_CLONE
from ravada_web.services.storage import pools
from ravada_web.services.transaction import transaction

# A target that does not answer after the switch is waited for that long.
WAITS = timedelta(days=1)
# Where a running clone is, is looked at no more often than that, whatever answers.
APART = timedelta(seconds=10)
_KINDS = kinds_on(MOVED_CLONE)


@dataclass(frozen=True)
class Plan:
    """All that the work needs, read at once. `source` is None where that node is gone; `platform` is what clones of its
    base get at the target; `document` the domain as that is to have it, once the row was switched; `tpm` is where its
    TPM's state waits there until then."""

    clone_id: int
    name: str
    uuid: str
    source: Target | None
    target: Target
    facts: NodeFacts
    platform: Platform
    files: Sequence[File]
    document: str
    tpm: str


def move(handle: Handle) -> None:
    """Move the operation's clone; one that an earlier attempt has moved is left. Raises Conflict where it cannot be."""
    if handle.params.get("restart"):
        power_work.ask(handle, claimed_clones(handle, CloneState.STOPPING))
        if handle.watched_until:
            return  # it goes on once it is off
    plan = _plan(handle)
    if plan is None:
        return
    if not plan.document:
        document = _brought(handle, plan)
        _switch(handle, plan, document)
        plan = replace(plan, document=document)
    _settle(handle, plan)


def _plan(handle: Handle) -> Plan | None:
    """None where it has moved. Raises Conflict where the clone is gone, or the target cannot take it any more."""
    batch = claimed_clones(handle, CloneState.MOVING)
    target = db.session.get(Node, handle.params["target_id"])
    if not batch or target is None:
        moved = (Clone.id == handle.params["clone_id"], Clone.node_id == handle.params["target_id"])
        if db.session.scalar(select(Clone.id).where(*moved)) is not None:
            return None
        raise Conflict(message("moves.gone"))
    clone = batch[0]
    clone_id, switched = clone.id, clone.node_id == target.id
    if not switched:
        base_files.require_whole(handle, target, clone.version_id)
        clone = db.session.get_one(Clone, clone_id)
    else:
        handle.result = dict(db.session.get_one(Operation, handle.operation_id).result)
    source = db.session.get(Node, handle.params["source_id"])
    return Plan(
        clone_id=clone.id,
        name=clone.name,
        uuid=clone.uuid,
        source=endpoints.target(source) if source is not None else None,
        target=endpoints.target(target),
        facts=facts_of(target),
        platform=migration.platform_on(db.session(), clone.base, target.id),
        files=[] if switched else _files(clone, target),
        document=handle.result["xml"] if switched else "",
        tpm=pools.in_pool(replica_directory(clone.version, target), f"{clone.name}.{clone.uuid[:8]}.tpm"),
    )


def _files(clone: Clone, target: Node) -> list[File]:
    """The clone's own files of its base's, here and there."""
    here, there = replica_directory(clone.version, clone.node), replica_directory(clone.version, target)
    return [
        File(
            name=clone.own_file(file),
            here=pools.in_pool(here, clone.own_file(file)),
            there=pools.in_pool(there, clone.own_file(file)),
            backing=pools.in_pool(there, file.file_name) if file.kind == FileKind.DISK and here != there else "",
        )
        for file in clone.version.files
    ]


def _brought(handle: Handle, plan: Plan) -> str:
    """The same as `_bring`; where that fails, a clone that was shut down for it is started where it is."""
    try:
        return _bring(handle, plan)
    except (Conflict, Cancelled, *SILENT):
        if handle.params.get("restart"):
            _start(handle, plan)
        raise


def _start(handle: Handle, plan: Plan) -> None:
    """Have a clone that was shut down to be moved started where its row says that it is."""
    with handle.writing("placement") as session:
        clone = session.get(Clone, plan.clone_id, with_for_update=True, populate_existing=True)
        if clone is not None and (clone.operation_id, clone.state) == (handle.operation_id, CloneState.MOVING):
            clone.state, clone.start_after = CloneState.STOPPED, False
            session.flush()
            actor = session.get(User, handle.user_id) if handle.user_id else None
            starts = clone_actions.start_placed(session, actor, [clone.id], awaited=True)
            handle.result = {"starts": starts}


def _bring(handle: Handle, plan: Plan) -> str:
    """Have all that the clone is on the target, verified; returns its domain as that is to have it. Raises Conflict,
    and what absent nodes raise."""
    assert plan.source is not None, "a node with clones is not removed"
    source_uri, target_uri = endpoints.libvirt_uri(plan.source), endpoints.libvirt_uri(plan.target)
    with open_connection(source_uri) as connection:
        seen = _at_rest(connection, plan)
        domains.keep_off(connection, plan.uuid)
    with open_connection(target_uri) as connection:
        require_free(connection, plan.target, plan.uuid, plan.name)
        facts = replace(plan.facts, networks=read_networks(connection))
    document = for_other_node(seen.xml, {file.here: file.there for file in plan.files}, facts, plan.platform)
    copying = Copying(handle, plan.source, plan.target, plan.files)
    copying.run()
    if version := tpm_version(document):
        _keep_tpm(handle, plan, copying, version)
    with open_connection(source_uri) as connection:
        again = _at_rest(connection, plan)
    if again.xml != seen.xml or copying.is_outdated():
        raise Conflict(message("moves.written", node=plan.source.name))
    return document


def _keep_tpm(handle: Handle, plan: Plan, copying: Copying, version: str) -> None:
    """Have the state of its TPM beside its disks there, until it is defined."""
    assert plan.source is not None
    state = tpm.read_state(endpoints.workspace(), plan.source, plan.uuid, version)
    with handle.writing() as session:
        row = session.scalars(_arriving(plan.target.node_id, plan.uuid)).one_or_none()
        if row is not None and plan.tpm not in row.files:
            row.files = [*row.files, plan.tpm]
    if state:
        copying.write(plan.tpm, state)


def _at_rest(connection: libvirt.virConnect, plan: Plan) -> domains.Definition:
    """The clone's domain at its source, which is off and can be copied whole. Raises Conflict."""
    assert plan.source is not None
    node = plan.source.name
    seen = domains.definition(connection, plan.uuid)
    if seen is None:
        raise Conflict(message("moves.vanished", node=node))
    for is_so, kind in ((seen.runs, "runs"), (seen.saved, "saved"), (seen.snapshots, "snapshots")):
        if is_so:
            raise Conflict(message(f"moves.{kind}", node=node))
    if things := bound_to_host(seen.xml, {file.here for file in plan.files}):
        raise Conflict(message("moves.bound", things=things))
    return seen


def require_free(connection: libvirt.virConnect, target: Target, uuid: str, name: str) -> None:
    """Refuse a target that has a domain of the same UUID or name. Raises Conflict."""
    existing = domains.existing(connection)
    if uuid in existing:
        raise Conflict(message("moves.is_defined", node=target.name))
    if name in existing.values():
        raise Conflict(message("clones.name_taken_on_node", node=target.name, name=name))


def _switch(handle: Handle, plan: Plan, document: str) -> None:
    """From here on the clone is at the target, and what stands at the source is to be removed. Raises Conflict where
    rows have moved on meanwhile."""
    handle.check()
    with handle.writing("placement") as session:
        clone = to_switch(session, handle, plan.clone_id)
        _require_base(session, clone, plan.target)
        switch(session, handle, clone, document)
        # Written here too: should this process die before it ends, its successor knows it.
        handle.result = {"xml": document}
        session.get_one(Operation, handle.operation_id).result = handle.result


def to_switch(session: Session, handle: Handle, clone_id: int) -> Clone:
    """The clone, held, which is the operation's and still at the source. Raises Conflict where rows have moved on."""
    clone = session.get(Clone, clone_id, with_for_update=True, populate_existing=True)
    is_ours = clone is not None and (clone.operation_id, clone.state) == (handle.operation_id, CloneState.MOVING)
    if clone is None or not is_ours or clone.node_id != handle.params["source_id"]:
        raise Conflict(message("moves.gone"))
    if session.scalar(_arriving(handle.params["target_id"], clone.uuid).with_for_update()) is None:
        raise Conflict(message("moves.gone"))
    return clone


def switch(session: Session, handle: Handle, clone: Clone, document: str) -> None:
    """From the end of this transaction on the clone, which `to_switch` holds, is at the target, with the definition
    `document`; what stands at the source is to be removed."""
    target_id = handle.params["target_id"]
    session.delete(session.scalars(_arriving(target_id, clone.uuid)).one())
    remains.leave(session, [clone], Cause.MOVED)
    source = clone.node.name
    clone.node_id, clone.decision_id = target_id, handle.params["decision_id"]
    clone.virt_type, platform = read_platform(document)
    clone.machine, clone.processor = platform.machine, platform.processor
    session.flush()
    target = session.get_one(Node, target_id)
    clone.made_round = clone.changed_round = target.rounds_begun
    note = message("moves.note", source=source, moved_at=now())
    session.execute(update(Decision).where(Decision.id == clone.decision_id).values(why=note))
    actor = session.get(User, handle.user_id) if handle.user_id else None
    names = {"source": source, "target": target.name}
    events.record(session, actor, "moved", clone, message("moves.asked", **names))


def _arriving(node_id: int, uuid: str) -> Select[Remains]:
    """The row that keeps the clone's place on the node that it moves to."""
    return select(Remains).where(Remains.node_id == node_id, Remains.uuid == uuid, Remains.cause == Cause.ARRIVING)


def _require_base(session: Session, clone: Clone, target: Target) -> None:
    """The copy of the base that it is to stand on is still there, and stays. Raises Conflict."""
    held = select(Replica).where(Replica.version_id == clone.version_id, Replica.node_id == target.node_id)
    replica = session.scalar(held.with_for_update().execution_options(populate_existing=True))
    if replica is None or replica.state != ReplicaState.READY:
        raise Conflict(message("clones.replica_gone", node=target.name))


def _settle(handle: Handle, plan: Plan) -> None:
    """Take the source's definition away, then define the clone at the target. A source that does not answer has its
    definition removed before anything else is done there; a target that does not is waited for."""
    if plan.source is not None:
        with suppress(*SILENT), open_connection(endpoints.libvirt_uri(plan.source)) as connection:
            domains.undefine(connection, plan.uuid)
    try:
        if version := tpm_version(plan.document):
            tpm.put_state(endpoints.workspace(), plan.target, plan.tpm, plan.uuid, version)
        with open_connection(endpoints.libvirt_uri(plan.target)) as connection:
            domains.define_all(connection, [plan.document])
    except SILENT:
        handle.watched_until = now() + WAITS
        with handle.writing() as session:
            waits = message("moves.waits", node=plan.target.name)
            session.get_one(Operation, handle.operation_id).message = waits
        return
    handle.result = {}
    if handle.params.get("restart"):
        _start(handle, plan)
    else:
        set_state(handle, [plan.clone_id], CloneState.STOPPED)


def nodes_at_work() -> set[int]:
    """The ids of the nodes that clones move from or to, or are about to."""
    going = (Operation.kind.in_(_KINDS), Operation.state.in_((OperationState.WAITING, OperationState.RUNNING)))
    moves = db.session.scalars(select(Operation.params).where(*going))
    return {params[end] for params in moves for end in ("source_id", "target_id")}


def due() -> list[Sequence[int]]:
    """The ids of the moves that wait for their nodes, for one job; nothing where there is none."""
    ids = db.session.scalars(select(Operation.id).where(*_waiting()).order_by(Operation.id)).all()
    return [ids] if ids else []


def _waiting() -> tuple[ColumnElement[bool], ...]:
    """Of operations: moves that are watched, or that ended before it was known where their clones run."""
    shutting_down = select(Clone.operation_id).where(
        Clone.operation_id == Operation.id, Clone.state == CloneState.STOPPING
    )
    left = select(Clone.operation_id).where(Clone.operation_id == Operation.id, Clone.moves_live)
    watched = (Operation.state == OperationState.WATCHED) & ~shutting_down.exists()
    return Operation.kind.in_(_KINDS), watched | (Operation.state.in_(OVER) & left.exists())


def go_on(operation_ids: Sequence[int]) -> None:
    """Have the moves go on whose targets answer again; those that have waited for too long end."""
    for operation_id in operation_ids:
        with guarded(_left, operation=operation_id):
            _look(operation_id)


def _left(_why: Message) -> None:
    """It is looked at again."""


def _look(operation_id: int) -> None:
    with transaction() as session:
        query = select(Operation).where(Operation.id == operation_id, *_waiting())
        row = session.scalar(query.with_for_update(key_share=True).execution_options(populate_existing=True))
        if row is None or row.node is None:
            return
        if row.params.get("live"):
            _look_for_guest(session, row, row.node)
        elif row.node.is_reachable:
            operation_requests.next_attempt(session, row)
        elif row.cancel_asked or (row.watched_until and has_come(row.watched_until, WAITS)):
            end(session, row, OperationState.FAILED, message("moves.waited", node=row.node.name))


def _look_for_guest(session: Session, row: Operation, target: Node) -> None:
    """Have it looked where a clone runs, and no more than that, once a node answers that may know, however long that
    takes: until then nothing can be said of it."""
    since, source = row.finished_at if row.over else row.watched_from, session.get(Node, row.params["source_id"])
    if is_recent(since, APART):
        return
    answers = target.is_reachable or (source is not None and source.is_reachable)
    if answers or target.is_known_off or target.is_given_up:
        row.params = {**row.params, "looks_only": True}
        row.deaths = 0
        operation_requests.next_attempt(session, row)
