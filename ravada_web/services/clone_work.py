"""The nodes' part of clones, done by jobs: compare what is wanted with what is there, and do the difference."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import libvirt
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import delete as delete_rows
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.hypervisor import displays, domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.domain_xml import CloneIdentity, for_clone
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.models import BaseDisk, BaseVersion, Clone, CloneState, Node, Replica, User, now
from ravada_web.remote import files, overlays
from ravada_web.remote.target import Target
from ravada_web.services import clones, links
from ravada_web.services.node_rows import facts_of
from ravada_web.services.running import Handle
from ravada_web.services.template_files import template_name
from ravada_web.services.transaction import transaction

FILES_SECONDS = 60.0
# How long a guest may take to shut down before the operation says that it has not.
SHUT_DOWN_SECONDS = 120.0
POLL_SECONDS = 0.5


def mine(handle: Handle, *states: CloneState) -> list[Clone]:
    """The operation's clones that are still in a state it works on."""
    query = select(Clone).where(Clone.operation_id == handle.operation_id, Clone.state.in_(states))
    shown = (joinedload(Clone.node), joinedload(Clone.version))
    return list(db.session.scalars(query.options(*shown).order_by(Clone.id)).unique())


def settle(handle: Handle, clone_ids: Sequence[int], state: CloneState, reason: str = "", display: str = "") -> None:
    """Write where clones have come to; one that another operation has taken over since is that one's to write."""
    moment = now()
    started = {"started_at": moment} if state == CloneState.STARTING else {}
    with transaction() as session:
        moved = update(Clone).where(Clone.id.in_(clone_ids), Clone.operation_id == handle.operation_id)
        written = {"state": state, "reason": reason, "display": display, "out_of_space": False}
        session.execute(moved.values(changed_at=moment, **written, **started))


@dataclass(frozen=True)
class Plan:
    """All that making a batch needs, read at once: later looks at the operation's row make objects read anew."""

    clone_ids: Sequence[int]
    to_start: Sequence[int]
    where: Target
    uri: str
    facts: NodeFacts
    template_xml: str
    identities: Sequence[CloneIdentity]
    # For each of the base's disks: the empty overlay, and the clones' files that are to be copies of it.
    overlays: Mapping[str, Sequence[str]]


def create(handle: Handle) -> None:
    """Make the overlays of a batch with one command, then define its domains over one connection."""
    plan = _plan(handle)
    if plan is None:
        return
    with transaction() as session:
        session.execute(update(Clone).where(Clone.id.in_(plan.clone_ids)).values(state=CloneState.CREATING))
    for template, paths in plan.overlays.items():
        handle.check()
        overlays.make_overlays(links.workspace(), plan.where, template, paths, handle.token, deadline=FILES_SECONDS)
    documents = [for_clone(plan.template_xml, identity, plan.facts) for identity in plan.identities]
    with open_connection(plan.uri) as connection:
        _refuse_foreign(connection, plan)
        handle.check()
        domains.define_all(connection, documents)
    settle(handle, plan.clone_ids, CloneState.STOPPED)
    _start_those_asked_for(handle, plan)


def _plan(handle: Handle) -> Plan | None:
    batch = mine(handle, CloneState.REQUESTED, CloneState.CREATING)
    if not batch:
        return None
    node, version = batch[0].node, batch[0].version
    directory = _replica_directory(version, node)
    where = links.target(node)

    def file(clone: Clone, disk: BaseDisk) -> str:
        return links.in_pool(directory, clone.disk_file(disk.target))

    return Plan(
        clone_ids=[clone.id for clone in batch],
        to_start=[clone.id for clone in batch if clone.start_after],
        where=where,
        uri=links.libvirt_uri(where),
        facts=facts_of(node),
        template_xml=version.base.template_xml,
        identities=[
            CloneIdentity(
                name=clone.name,
                uuid=clone.uuid,
                macs=[nic.mac for nic in clone.nics],
                disks={disk.target: file(clone, disk) for disk in version.disks},
            )
            for clone in batch
        ],
        overlays={
            links.in_pool(directory, template_name(disk)): [file(clone, disk) for clone in batch]
            for disk in version.disks
        },
    )


def _replica_directory(version: BaseVersion, node: Node) -> str:
    query = select(Replica.directory).where(Replica.version_id == version.id, Replica.node_id == node.id)
    directory = db.session.scalar(query)
    if directory is None:
        raise Conflict(_("Node %(node)s has no replica of this base any more.", node=node.name))
    return directory


def _refuse_foreign(connection: libvirt.virConnect, plan: Plan) -> None:
    """A name that somebody else's machine has on the node cannot be ours; theirs is left as it is."""
    there = {name: uuid for uuid, name in domains.existing(connection).items()}
    taken = [mine.name for mine in plan.identities if there.get(mine.name, mine.uuid) != mine.uuid]
    if taken:
        raise Conflict(
            _(
                "Node %(node)s has machines of its own with these names: %(names)s. Delete these clones and "
                "ask for them with another prefix.",
                node=plan.where.name,
                names=", ".join(taken),
            )
        )


def _start_those_asked_for(handle: Handle, plan: Plan) -> None:
    if not plan.to_start:
        return
    with transaction() as session:
        session.execute(update(Clone).where(Clone.id.in_(plan.to_start)).values(start_after=False))
        clones.start_placed(session, session.get(User, handle.user_id), plan.to_start)


def start(handle: Handle) -> None:
    """Start each clone of the batch; one that cannot start does not keep the others from it."""
    batch = mine(handle, CloneState.STARTING)
    address = links.display_address(batch[0].node) if batch else ""
    act = partial(displays.start, address=address)
    _each(handle, batch, act, CloneState.RUNNING, CloneState.STOPPED)


def stop(handle: Handle) -> None:
    """Shut the batch's guests down and wait until they are off, or force them off."""
    batch = mine(handle, CloneState.STOPPING)
    if handle.params.get("force"):
        _each(handle, batch, domains.force_off, CloneState.STOPPED, CloneState.RUNNING)
    elif batch:
        _shut_down(handle, batch, CloneState.STOPPED)
    _throw_volatile_away(handle)


def restart(handle: Handle) -> None:
    """Shut the batch's guests down and start those that are off again; the others run on, and are named.

    A clone that is off is starting from then on, never stopped: no check throws a volatile one away in between,
    and an attempt that takes this up again knows how far each has come.
    """
    problems: list[str] = []
    try:
        if batch := mine(handle, CloneState.STOPPING):
            _shut_down(handle, batch, CloneState.STARTING)
    except Conflict as error:
        problems.append(str(error))
    try:
        start(handle)
    except Conflict as error:
        problems.append(str(error))
    if problems:
        raise Conflict(" ".join(problems))


def _each(handle: Handle, batch: Sequence[Clone], act: "domains.Act", reached: CloneState, kept: CloneState) -> None:
    """Do one thing to each domain over one connection, and write each one's outcome as it comes."""
    failures: list[str] = []
    each = [(clone.id, clone.uuid, clone.name) for clone in batch]
    if not each:
        return
    with links.connect(batch[0].node) as connection:
        for done, (clone_id, clone_uuid, name) in enumerate(each, start=1):
            handle.check()
            try:
                display = act(connection, clone_uuid) or ""
            except HypervisorError as error:
                failures.append(f"{name}: {error}")
                settle(handle, [clone_id], kept, str(error))
            else:
                settle(handle, [clone_id], reached, display=display)
            handle.progress(100 * done / len(each))
    if failures:
        raise Conflict("; ".join(failures))


def _shut_down(handle: Handle, batch: Sequence[Clone], reached: CloneState) -> None:
    """Press each power button, and write who is off as it comes. Raises Conflict for those that stay on."""
    count, waiting = len(batch), {clone.uuid: clone.id for clone in batch}
    end = time.monotonic() + SHUT_DOWN_SECONDS
    with links.connect(batch[0].node) as connection:
        for clone_uuid in waiting:
            domains.shut_down(connection, clone_uuid)
        while waiting and time.monotonic() < end:
            handle.check()
            states = domains.states(connection, list(waiting))
            off = [clone_uuid for clone_uuid in waiting if states.get(clone_uuid, "stopped") == "stopped"]
            if off:
                settle(handle, [waiting.pop(clone_uuid) for clone_uuid in off], reached)
            handle.progress(100 * (1 - len(waiting) / count), _("Waiting for the guests"))
            if waiting:
                time.sleep(POLL_SECONDS)
    if waiting:
        raise Conflict(
            ngettext(
                "%(num)s guest did not shut down within %(seconds)s s and runs on. Force it off if you must.",
                "%(num)s guests did not shut down within %(seconds)s s and run on. Force them off if you must.",
                len(waiting),
                seconds=round(SHUT_DOWN_SECONDS),
            )
        )


def _throw_volatile_away(handle: Handle) -> None:
    with transaction() as session:
        query = select(Clone).where(
            Clone.operation_id == handle.operation_id, Clone.volatile, Clone.state == CloneState.STOPPED
        )
        ended = session.scalars(query.options(joinedload(Clone.node))).all()
        if ended:
            clones.throw_away(session, ended[0].node, [clone.id for clone in ended])


def delete(handle: Handle) -> None:
    """Remove the batch's domains, then their disks, then their rows: what is left half-way can be done again."""
    batch = mine(handle, CloneState.DELETING)
    if not batch:
        return
    node = batch[0].node
    where, paths = links.target(node), _files(batch, node)
    ids, uuids = [clone.id for clone in batch], [clone.uuid for clone in batch]
    with links.connect(node) as connection:
        handle.check()
        for clone_uuid in uuids:
            domains.force_off(connection, clone_uuid)
            domains.undefine(connection, clone_uuid)
    handle.check()
    files.remove_files(links.workspace(), where, paths, deadline=FILES_SECONDS)
    with transaction() as session:
        session.execute(delete_rows(Clone).where(Clone.id.in_(ids)))


def _files(batch: Sequence[Clone], node: Node) -> list[str]:
    directories = {version.id: _replica_directory(version, node) for version in {clone.version for clone in batch}}
    return [
        links.in_pool(directories[clone.version_id], clone.disk_file(disk.target))
        for clone in batch
        for disk in clone.version.disks
    ]
