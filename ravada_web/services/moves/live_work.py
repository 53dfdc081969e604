"""Moving a clone that runs and goes on running. libvirt moves its guest; this work prepares the target, and afterwards
looks where the guest is and makes the row say so.

The work may die at any moment, and so may either node, its libvirt, the link and the network. What is known at each is
in the operation's row: once its result says "begun", the guest may be on either node, and nothing on either is ended or
removed before both, or the one that has it, have been looked at (`_settle`). A guest that runs at the target is there
for good; one that only waits there for its memory has never run there, and is removed.
"""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial

import libvirt
import structlog
from sqlalchemy import select

from ravada_web.clock import now
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.hypervisor import domains, migration
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.domain_xml import bound_to_host, for_other_node
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.facts import NodeFacts, read_networks
from ravada_web.hypervisor.migration import Presence, Progress
from ravada_web.messages import NOTHING, Message, MessageError, message
from ravada_web.models import Clone, CloneState, FileKind, Node, Observed, Operation
from ravada_web.platforms import Platform
from ravada_web.remote import files, overlays, passage
from ravada_web.remote.errors import RemoteError
from ravada_web.remote.passage import End
from ravada_web.remote.target import Target
from ravada_web.services.bases import migration as base_migration
from ravada_web.services.clones import base_files
from ravada_web.services.clones.batch import claimed_clones, replica_directory
from ravada_web.services.clones.deletion_work import SILENT
from ravada_web.services.moves.move_work import WAITS, require_free, switch, to_switch
from ravada_web.services.moves.rates import Share
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.facts import facts_of
from ravada_web.services.operations.execution import Cancelled, Handle
from ravada_web.services.operations.subjects import MOVED_CLONE
from ravada_web.services.storage import leftovers, pools
from ravada_web.services.storage.file_names import template_name

log = structlog.get_logger()
# A move that has come to its deadline is given as long again to copy the rest of a paused guest; then it is cut.
CUT_SECONDS = 3600.0


@dataclass(frozen=True)
class File:
    """A file of the clone's own, a disk or its UEFI variables: where it is here and there, and what there is copied to
    have one to begin with."""

    kind: str
    here: str
    there: str
    template: str


@dataclass(frozen=True)
class Plan:
    """All that the work needs, read at once."""

    clone_id: int
    name: str
    uuid: str
    source: Target
    target: Target
    # The target will not come back by itself: nothing of it runs any more.
    target_is_gone: bool
    facts: NodeFacts
    # The address of the target that displays for viewers are on; "" where it offers none.
    viewers: str
    platform: Platform
    files: Sequence[File]

    @property
    def paths(self) -> dict[str, str]:
        """The files' paths there by those here."""
        return {file.here: file.there for file in self.files}

    @property
    def variables(self) -> list[str]:
        """The path there of its UEFI variables, if it has any."""
        return [file.there for file in self.files if file.kind == FileKind.NVRAM]


class Found(Enum):
    """Where the guest is: where it was, where it went, at both, or nobody knows yet."""

    HERE = auto()
    THERE = auto()
    BOTH = auto()
    UNKNOWN = auto()


def found(source: Presence | None, target: Presence | None) -> Found:
    """Where a guest is whose move has begun, by how its domain stands on both nodes; None for one that does not answer.

    At the target its domain lasts, or its guest runs, only once all of it has come; then the source's is but what is
    left there, unless that runs too, which somebody must have seen to.
    """
    if target in (Presence.OFF, Presence.PAUSED, Presence.RUNNING):
        return Found.BOTH if source == Presence.RUNNING else Found.THERE
    if target is None:
        return Found.HERE if source == Presence.RUNNING else Found.UNKNOWN
    return Found.HERE


def move(handle: Handle) -> None:
    """Move the operation's clone, which runs; one that an earlier attempt has moved is left. Raises Conflict where it
    cannot be, and what absent nodes raise: then it runs where it was."""
    handle.result = dict(db.session.get_one(Operation, handle.operation_id).result)
    if handle.result.get("arrived"):
        _finish_later(handle)
        return
    plan = _plan(handle)
    if plan is None:
        return
    if handle.result.get("begun"):
        where = _settle(handle, plan)
        if where in (Found.HERE, Found.THERE):
            _close_passage([plan.source, plan.target], plan.uuid)
        if where != Found.HERE:
            return
        if handle.params.get("looks_only"):
            raise Conflict(message("moves.stays", node=plan.source.name))
    _try(handle, plan)


def _try(handle: Handle, plan: Plan) -> None:
    """One try at moving it. Raises why it is where it was."""
    try:
        _go(handle, plan)
    except (MessageError, Cancelled) as error:
        if handle.result.get("begun") and _settle(handle, plan) != Found.HERE:
            log.info("moved, or not known where, in spite of", error=repr(error))
            return
        raise


def _plan(handle: Handle) -> Plan | None:
    """None where it has moved. Raises Conflict where the clone is gone."""
    batch = claimed_clones(handle, CloneState.MOVING)
    source, target = (db.session.get(Node, handle.params[f"{each}_id"]) for each in ("source", "target"))
    if not batch or source is None or target is None:
        moved = (Clone.id == handle.params["clone_id"], Clone.node_id == handle.params["target_id"])
        if db.session.scalar(select(Clone.id).where(*moved)) is not None:
            return None
        raise Conflict(message("moves.gone"))
    clone = batch[0]
    here, there = replica_directory(clone.version, source), replica_directory(clone.version, target)
    return Plan(
        clone_id=clone.id,
        name=clone.name,
        uuid=clone.uuid,
        source=endpoints.target(source),
        target=endpoints.target(target),
        target_is_gone=target.is_known_off or target.is_given_up,
        facts=facts_of(target),
        viewers=endpoints.display_address(target),
        platform=base_migration.platform_on(db.session(), clone.base, target.id),
        files=[
            File(
                file.kind,
                pools.in_pool(here, clone.own_file(file)),
                pools.in_pool(there, clone.own_file(file)),
                pools.in_pool(there, template_name(file)),
            )
            for file in clone.version.files
        ],
    )


def _go(handle: Handle, plan: Plan) -> None:
    """Prepare the target, have libvirt move the guest, and write where it is."""
    workspace = endpoints.workspace()
    node = db.session.get_one(Node, plan.target.node_id)
    base_files.require_whole(handle, node, db.session.get_one(Clone, plan.clone_id).version_id)
    deadline = float(handle.params["deadline_seconds"])
    with ExitStack() as open_:
        source, target = (_opened(open_, each, 2 * deadline + CUT_SECONDS) for each in (plan.source, plan.target))
        kept, guest = _looked_at(source, plan)
        require_free(target, plan.target, plan.uuid, plan.name)
        facts = replace(plan.facts, networks=read_networks(target))
        document = for_other_node(kept, plan.paths, facts, plan.platform)
        _make_files(handle, plan)
        ends = End(plan.source, migration.qemu_uid(source)), End(plan.target, migration.qemu_uid(target))
        handle.check()
        sockets = open_.enter_context(passage.opened(workspace, ends[0], ends[1], plan.uuid, plan.name))
        _write_begun(handle, {"begun": True, "xml": document})
        migration.unplug_clipboard(source, plan.uuid)
        now_live = migration.read_guest(source, plan.uuid).xml
        running = migration.for_target(now_live, plan.paths, facts.emulator, plan.viewers)
        course = migration.Course(
            memory=sockets.memory,
            disks_socket=sockets.disks,
            disks=migration.own_targets(guest.disks, plan.paths),
            running=running,
            kept=document,
            most_mib=Share(plan.source.node_id, plan.target.node_id).mib,
            deadline=deadline,
        )
        still = migration.migrate(
            source,
            target,
            plan.uuid,
            course,
            on_progress=partial(_show, handle),
            late=lambda: handle.params["at_deadline"] == "stop",
        )
        handle.result = {**handle.result, "downtime_ms": still}
        # At once: consoles wait for it, and the sockets do not.
        _settle(handle, plan)


def _opened(open_: ExitStack, where: Target, within: float) -> libvirt.virConnect:
    return open_.enter_context(open_connection(endpoints.libvirt_uri(where), within=within))


def _looked_at(connection: libvirt.virConnect, plan: Plan) -> tuple[str, migration.Guest]:
    """The clone's definition at its source, and its guest, which runs and can move. Raises Conflict."""
    seen = domains.definition(connection, plan.uuid)
    if seen is None:
        raise Conflict(message("moves.vanished", node=plan.source.name))
    if migration.presence(connection, plan.uuid) != Presence.RUNNING:
        raise Conflict(message("moves.must_still_run", node=plan.source.name))
    if seen.snapshots:
        raise Conflict(message("moves.snapshots", node=plan.source.name))
    guest = migration.read_guest(connection, plan.uuid)
    if things := bound_to_host(guest.xml, plan.paths):
        raise Conflict(message("moves.bound", things=things))
    domains.keep_off(connection, plan.uuid)
    return seen.xml, guest


def _make_files(handle: Handle, plan: Plan) -> None:
    """Make its overlays at the target anew, empty: what a former try has left in one would be in the guest's disk. Its
    UEFI variables begin as its base's: QEMU writes over all of them once the guest has come."""
    workspace = endpoints.workspace()
    sizes = files.file_states(workspace, plan.source, list(plan.paths))
    directories = sorted({file.there.rpartition("/")[0] for file in plan.files})
    if handle.attempt > 1:
        leftovers.sweep(plan.target, directories)
    space = files.free_space(workspace, plan.target, directories)
    node = db.session.get_one(Node, plan.target.node_id)
    for directory in directories:
        ours = [file.here for file in plan.files if file.there.rpartition("/")[0] == directory]
        need = sum(sizes[path].size for path in ours if path in sizes)
        pools.require_room(node, directory, space[directory][1] >> 20, need >> 20)
    handle.check()
    for file in plan.files:
        overlays.make_anew(workspace, plan.target, file.template, file.there, handle.token)


def _write_begun(handle: Handle, result: dict[str, object]) -> None:
    """Write, before anything else is done, that the guest may be on either node from now on, or is on one again."""
    handle.result = result
    with handle.writing() as session:
        session.get_one(Operation, handle.operation_id).result = result


def _show(handle: Handle, seen: Progress) -> None:
    handle.progress(seen.percent, message("moves.migrating", left_mib=seen.left_mib))


def _settle(handle: Handle, plan: Plan) -> Found:
    """Look where the guest is and have the rows and both nodes say so; where that is not known yet it is looked at
    again later. Returns where it is."""
    source = _presence(plan.source, plan.uuid)
    target = Presence.NONE if plan.target_is_gone else _presence(plan.target, plan.uuid)
    where = Found.HERE if handle.result.get("stays") else found(source, target)
    if where == Found.THERE:
        _arrive(handle, plan)
    elif where == Found.HERE:
        where = _stay(handle, plan)
    if where in (Found.UNKNOWN, Found.BOTH):
        _wait(handle, plan, where, target)
    return where


def _presence(where: Target, uuid: str) -> Presence | None:
    try:
        with open_connection(endpoints.libvirt_uri(where)) as connection:
            return migration.presence(connection, uuid)
    except HypervisorError:
        return None


def _arrive(handle: Handle, plan: Plan) -> None:
    """The guest is at the target: so is the clone from now on."""
    state, display = CloneState.RUNNING, ""
    with suppress(HypervisorError), open_connection(endpoints.libvirt_uri(plan.target)) as connection:
        standing = migration.presence(connection, plan.uuid)
        state = {Presence.OFF: CloneState.STOPPED, Presence.PAUSED: CloneState.PAUSED}.get(standing, state)
        display = migration.display(connection, plan.uuid) if state != CloneState.STOPPED else ""
    with handle.writing("placement") as session:
        clone = to_switch(session, handle, plan.clone_id)
        switch(session, handle, clone, str(handle.result["xml"]))
        clone.state, clone.state_before, clone.reason, clone.display = state, "", NOTHING, display
        clone.started_round = clone.changed_round
        handle.result = {key: value for key, value in handle.result.items() if key == "downtime_ms"} | {"arrived": 1}
        session.get_one(Operation, handle.operation_id).result = handle.result
    _finish(handle, plan.target)
    with suppress(RemoteError):
        files.sync_files(endpoints.workspace(), plan.target, plan.variables)
    with guarded(_later), suppress(*SILENT), open_connection(endpoints.libvirt_uri(plan.source)) as connection:
        domains.undefine(connection, plan.uuid)


def _stay(handle: Handle, plan: Plan) -> Found:
    """The guest is where it was: what waits for it at the target goes first, so that it cannot come to run there, and
    only then it goes on, if it was paused. Where its own node does not answer by now, that is tried again soon, as long
    as the node is not down, and else as soon as it is back (`taking_up`): until then the row says that it stays."""
    if not plan.target_is_gone and not handle.result.get("stays"):
        try:
            with open_connection(endpoints.libvirt_uri(plan.target)) as connection:
                if migration.presence(connection, plan.uuid) == Presence.INCOMING:
                    domains.undefine(connection, plan.uuid)
        except HypervisorError:
            if _presence(plan.source, plan.uuid) != Presence.RUNNING:
                return Found.UNKNOWN
    if _goes_on(plan):
        _write_begun(handle, {})
        return Found.HERE
    times = int(handle.result.get("stays", 0)) + 1
    _write_begun(handle, {**handle.result, "stays": times})
    node = db.session.get_one(Node, plan.source.node_id, populate_existing=True)
    return Found.UNKNOWN if node.observed != Observed.DOWN and times < MOVED_CLONE.MOST_LOOKS else Found.HERE


def _goes_on(plan: Plan) -> bool:
    """Have the guest go on where it was, with its clipboard; returns whether all is as it was before."""
    try:
        with open_connection(endpoints.libvirt_uri(plan.source)) as connection:
            if migration.presence(connection, plan.uuid) not in (Presence.NONE, Presence.OFF):
                migration.end_job(connection, plan.uuid)
                migration.resume(connection, plan.uuid)
                migration.plug_clipboard(connection, plan.uuid)
    except HypervisorError as error:
        log.info("not as it was", reason=error.message.to_json())
        return False
    return True


def _finish(handle: Handle, target: Target) -> None:
    """Give the guest its clipboard again where it has come to; where that does not answer by now, that is tried again,
    so often. Its desktop is in use meanwhile."""
    uuid, times = handle.params["uuid"], int(handle.result["arrived"])
    try:
        with open_connection(endpoints.libvirt_uri(target)) as connection:
            if migration.presence(connection, uuid) != Presence.NONE:
                migration.plug_clipboard(connection, uuid)
    except HypervisorError as error:
        log.info("without its clipboard", reason=error.message.to_json())
        if times < MOVED_CLONE.MOST_LOOKS:
            handle.result = {**handle.result, "arrived": times + 1}
            handle.watched_until = now() + WAITS
            return
    handle.result = {key: value for key, value in handle.result.items() if key != "arrived"}


def _finish_later(handle: Handle) -> None:
    """Do what an attempt has left undone that has moved it, and was killed or met a node that did not answer; unless
    anything else is done with it by now."""
    clone = db.session.get(Clone, handle.params["clone_id"])
    source, target = (db.session.get(Node, handle.params[f"{each}_id"]) for each in ("source", "target"))
    ours = clone is not None and (clone.operation_id, clone.node) == (handle.operation_id, target)
    if not ours or source is None or target is None:
        return
    ends = [endpoints.target(node) for node in (source, target)]
    _finish(handle, ends[1])
    _close_passage(ends, handle.params["uuid"])


def _close_passage(nodes: Sequence[Target], uuid: str) -> None:
    """Remove the sockets that an attempt has left which was killed."""
    for where in nodes:
        with suppress(RemoteError):
            passage.close(endpoints.workspace(), where, uuid)


def _later(reason: Message) -> None:
    """The next check of that node, or the guest's next start, sets it right."""
    log.info("not tidied up", reason=reason.to_json())


def _wait(handle: Handle, plan: Plan, where: Found, target: Presence | None) -> None:
    handle.watched_until = now() + WAITS
    silent = plan.target.name if target is None else plan.source.name
    both = message("moves.both", source=plan.source.name, target=plan.target.name)
    with handle.writing() as session:
        row = session.get_one(Operation, handle.operation_id)
        row.message = both if where == Found.BOTH else message("moves.looks", node=silent)
