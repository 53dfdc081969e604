"""The nodes' part of clones, done by jobs: compare what is wanted with what is there, and do the difference."""

import time
from collections.abc import Sequence

import libvirt
from flask_babel import gettext as _
from sqlalchemy import delete as delete_rows
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.domain_xml import CloneIdentity, for_clone
from ravada_web.models import Base, BaseVersion, Clone, CloneState, Node, Replica, User, now
from ravada_web.remote import files, overlays
from ravada_web.services import clones, links
from ravada_web.services.node_rows import facts_of
from ravada_web.services.running import Handle
from ravada_web.services.template_files import template_name
from ravada_web.services.transaction import transaction

FILES_SECONDS = 60.0
# How long a guest may take to shut down before the operation says that it has not.
SHUT_DOWN_SECONDS = 120.0
POLL_SECONDS = 0.5


def _mine(handle: Handle, *states: CloneState) -> list[Clone]:
    """The operation's clones that are still in a state it works on."""
    query = select(Clone).where(Clone.operation_id == handle.operation_id, Clone.state.in_(states))
    return list(db.session.scalars(query.options(joinedload(Clone.node)).order_by(Clone.id)))


def _settle(clone_ids: Sequence[int], state: CloneState) -> None:
    with transaction() as session:
        moved = update(Clone).where(Clone.id.in_(clone_ids))
        session.execute(moved.values(state=state, reason="", changed_at=now()))


def create(handle: Handle) -> None:
    """Make the overlays of a batch with one command, then define its domains over one connection."""
    batch = _mine(handle, CloneState.REQUESTED, CloneState.CREATING)
    if not batch:
        return
    ids = [clone.id for clone in batch]
    with transaction() as session:
        session.execute(update(Clone).where(Clone.id.in_(ids)).values(state=CloneState.CREATING))
    node, version, base = batch[0].node, batch[0].version, batch[0].base
    directory = _replica_directory(version, node)
    _make_overlays(handle, batch, version, node, directory)
    handle.progress(50, _("Disks made"))
    _define(handle, batch, base, version, node, directory)
    _settle(ids, CloneState.STOPPED)
    _start_those_asked_for(handle, batch)


def _replica_directory(version: BaseVersion, node: Node) -> str:
    query = select(Replica.directory).where(Replica.version_id == version.id, Replica.node_id == node.id)
    directory = db.session.scalar(query)
    if directory is None:
        raise Conflict(_("Node %(node)s has no replica of this base any more.", node=node.name))
    return directory


def _make_overlays(handle: Handle, batch: Sequence[Clone], version: BaseVersion, node: Node, directory: str) -> None:
    workspace, where = links.workspace(), links.target(node)
    for disk in version.disks:
        template = links.in_pool(directory, template_name(disk))
        paths = [links.in_pool(directory, clone.disk_file(disk.target)) for clone in batch]
        handle.check()
        overlays.make_overlays(workspace, where, template, paths, handle.token, deadline=FILES_SECONDS)


def _define(
    handle: Handle, batch: Sequence[Clone], base: Base, version: BaseVersion, node: Node, directory: str
) -> None:
    facts = facts_of(node)
    targets = [disk.target for disk in version.disks]
    identities = [
        CloneIdentity(
            name=clone.name,
            uuid=clone.uuid,
            macs=[nic.mac for nic in clone.nics],
            disks={target: links.in_pool(directory, clone.disk_file(target)) for target in targets},
        )
        for clone in batch
    ]
    documents = [for_clone(base.template_xml, identity, facts) for identity in identities]
    with links.connect(node) as connection:
        _refuse_foreign(connection, batch, node)
        handle.check()
        domains.define_all(connection, documents)


def _refuse_foreign(connection: libvirt.virConnect, batch: Sequence[Clone], node: Node) -> None:
    """A name that somebody else's machine has on the node cannot be ours; theirs is left as it is."""
    there = {name: uuid for uuid, name in domains.existing(connection).items()}
    taken = [clone.name for clone in batch if there.get(clone.name, clone.uuid) != clone.uuid]
    if taken:
        raise Conflict(
            _(
                "Node %(node)s has machines of its own with these names: %(names)s. Delete these clones and "
                "ask for them with another prefix.",
                node=node.name,
                names=", ".join(taken),
            )
        )


def _start_those_asked_for(handle: Handle, batch: Sequence[Clone]) -> None:
    ids = [clone.id for clone in batch if clone.start_after]
    if not ids:
        return
    with transaction() as session:
        session.execute(update(Clone).where(Clone.id.in_(ids)).values(start_after=False))
        clones.start_placed(session, db.session.get(User, handle.user_id), ids)


def start(handle: Handle) -> None:
    """Start each clone of the batch; one that cannot start does not keep the others from it."""
    batch = _mine(handle, CloneState.STARTING)
    _each(handle, batch, domains.start, CloneState.RUNNING, CloneState.STOPPED)


def stop(handle: Handle) -> None:
    """Shut the batch's guests down and wait until they are off, or force them off."""
    batch = _mine(handle, CloneState.STOPPING)
    if handle.params.get("force"):
        _each(handle, batch, domains.force_off, CloneState.STOPPED, CloneState.RUNNING)
    elif batch:
        _shut_down(handle, batch)
    _throw_volatile_away(handle)


def _each(handle: Handle, batch: Sequence[Clone], act: "domains.Act", reached: CloneState, kept: CloneState) -> None:
    """Do one thing to each domain over one connection, and write each one's outcome as it comes."""
    failures: list[str] = []
    if not batch:
        return
    with links.connect(batch[0].node) as connection:
        for done, clone in enumerate(batch):
            handle.check()
            try:
                act(connection, clone.uuid)
            except domains.HypervisorError as error:
                failures.append(f"{clone.name}: {error}")
                _keep(clone.id, kept, str(error))
            else:
                _settle([clone.id], reached)
            handle.progress(100 * (done + 1) / len(batch))
    if failures:
        raise Conflict("; ".join(failures))


def _keep(clone_id: int, state: CloneState, reason: str) -> None:
    with transaction() as session:
        session.execute(update(Clone).where(Clone.id == clone_id).values(state=state, reason=reason, changed_at=now()))


def _shut_down(handle: Handle, batch: Sequence[Clone]) -> None:
    waiting = {clone.uuid: clone.id for clone in batch}
    end = time.monotonic() + SHUT_DOWN_SECONDS
    with links.connect(batch[0].node) as connection:
        for clone_uuid in waiting:
            domains.shut_down(connection, clone_uuid)
        while waiting and time.monotonic() < end:
            handle.check()
            states = domains.states(connection, list(waiting))
            off = [clone_uuid for clone_uuid in waiting if states.get(clone_uuid, "stopped") == "stopped"]
            if off:
                _settle([waiting.pop(clone_uuid) for clone_uuid in off], CloneState.STOPPED)
            handle.progress(100 * (1 - len(waiting) / len(batch)), _("Waiting for the guests"))
            time.sleep(POLL_SECONDS)
    if waiting:
        raise Conflict(
            _(
                "%(count)s guests did not shut down within two minutes. Force them off if you must.",
                count=len(waiting),
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
    batch = _mine(handle, CloneState.DELETING)
    if not batch:
        return
    node = batch[0].node
    with links.connect(node) as connection:
        for clone in batch:
            handle.check()
            domains.force_off(connection, clone.uuid)
            domains.undefine(connection, clone.uuid)
    handle.check()
    files.remove_files(links.workspace(), links.target(node), _files(batch, node), deadline=FILES_SECONDS)
    with transaction() as session:
        session.execute(delete_rows(Clone).where(Clone.id.in_([clone.id for clone in batch])))


def _files(batch: Sequence[Clone], node: Node) -> list[str]:
    directories = {version.id: _replica_directory(version, node) for version in {clone.version for clone in batch}}
    return [
        links.in_pool(directories[clone.version_id], clone.disk_file(disk.target))
        for clone in batch
        for disk in clone.version.disks
    ]
