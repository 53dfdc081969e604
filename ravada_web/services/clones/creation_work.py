"""Creating a batch of clones on its node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import libvirt
from sqlalchemy import select, update

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.domain_xml import CloneIdentity, for_clone
from ravada_web.hypervisor.facts import NodeFacts, read_networks
from ravada_web.hypervisor.marks import Mark, marked
from ravada_web.hypervisor.platform import read_platform
from ravada_web.messages import message
from ravada_web.models import ROUND_NOW, BaseDisk, Clone, CloneState, FileKind, Operation, User, now
from ravada_web.platforms import Platform
from ravada_web.remote import overlays
from ravada_web.remote.errors import CommandFailed
from ravada_web.remote.target import Target
from ravada_web.services.bases import migration
from ravada_web.services.batches import grouped
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import base_files, power_work
from ravada_web.services.clones.batch import Failures, claimed_clones, replica_directory, set_state, write_state
from ravada_web.services.clones.hastening import waited_for
from ravada_web.services.clones.requests import STARTS
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.facts import facts_of
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import leftovers, pools
from ravada_web.services.storage.file_names import template_name

Value = TypeVar("Value")


@dataclass(frozen=True)
class Plan:
    """All that making a batch needs, read at once: later queries for the operation's row make objects load again."""

    clone_ids: Sequence[int]
    where: Target
    uri: str
    facts: NodeFacts
    template_xml: str
    # What its base's migration group has there.
    platform: Platform
    # By the clones' ids.
    identities: Mapping[int, CloneIdentity]
    marks: Mapping[int, Mark]
    # For each of the base's files: the template, and the clones' files that are to be copies of it, by their ids.
    copies: Mapping[str, Mapping[int, str]]


def create(handle: Handle) -> None:
    """Make a batch of clones, and have those started that are to run: by waves of their own, or here and now where
    people have lost them."""
    plan = _plan(handle)
    failures = _make(handle, plan) if plan else Failures({})
    start_made(handle)
    try:
        if handle.params.get(STARTS):
            power_work.start(handle)
    finally:
        failures.write(handle)


def _make(handle: Handle, plan: Plan) -> Failures:
    """Make the files of a batch with one command each, then define its domains over one connection; returns what went
    wrong with which."""
    set_state(handle, plan.clone_ids, CloneState.CREATING)
    failures = Failures({clone_id: identity.name for clone_id, identity in plan.identities.items()})
    if handle.attempt > 1:
        leftovers.sweep(plan.where, sorted({template.rpartition("/")[0] for template in plan.copies}))
    with open_connection(plan.uri) as connection:
        _refuse_foreign(connection, plan, failures)
        for template, paths in plan.copies.items():
            handle.check()
            _make_files(handle, plan.where, template, _without(paths, failures), failures)
        # Networks are started and stopped by hand: what was known of them a minute ago refuses nothing.
        facts = replace(plan.facts, networks=read_networks(connection))
        handle.check()
        made_with: dict[int, tuple[str, Platform]] = {}
        for clone_id, identity in _without(plan.identities, failures).items():
            with failures.guard(clone_id):
                document = marked(for_clone(plan.template_xml, identity, facts, plan.platform), plan.marks[clone_id])
                domains.define_all(connection, [document])
                made_with[clone_id] = read_platform(document)
    _write_made(handle, made_with)
    return failures


def _write_made(handle: Handle, made_with: Mapping[int, tuple[str, Platform]]) -> None:
    """Write that these are there, and what each has, which decides where it can move."""
    with handle.writing() as session:
        for (virt_type, platform), ids in grouped(made_with, made_with.__getitem__).items():
            written = {"virt_type": virt_type, "machine": platform.machine, "processor": platform.processor}
            ours = update(Clone).where(Clone.id.in_(ids), Clone.operation_id == handle.operation_id)
            session.execute(ours.values(written))
        write_state(session, handle.operation_id, list(made_with), CloneState.STOPPED)


def _plan(handle: Handle) -> Plan | None:
    batch = claimed_clones(handle, CloneState.REQUESTED, CloneState.CREATING)
    if not batch:
        return None
    node, version = batch[0].node, batch[0].version
    base_files.require_whole(handle, node, version.id)
    directory = replica_directory(version, node)
    where = endpoints.target(node)

    def own(clone: Clone, file: BaseDisk) -> str:
        return pools.in_pool(directory, clone.own_file(file))

    def of_kind(clone: Clone, kind: FileKind) -> dict[str, str]:
        return {file.target: own(clone, file) for file in version.files if file.kind == kind}

    return Plan(
        clone_ids=[clone.id for clone in batch],
        where=where,
        uri=endpoints.libvirt_uri(where),
        facts=facts_of(node),
        template_xml=version.base.template_xml,
        platform=migration.platform_on(db.session(), version.base, node.id),
        identities={
            clone.id: CloneIdentity(
                name=clone.name,
                uuid=clone.uuid,
                macs=[nic.mac for nic in clone.nics],
                disks=of_kind(clone, FileKind.DISK),
                nvram=next(iter(of_kind(clone, FileKind.NVRAM).values()), ""),
            )
            for clone in batch
        },
        marks={clone.id: Mark(version.base.name, version.id, clone.owner.name, clone.volatile) for clone in batch},
        copies={
            pools.in_pool(directory, template_name(file)): {clone.id: own(clone, file) for clone in batch}
            for file in version.files
        },
    )


def _without(values: Mapping[int, Value], failures: Failures) -> dict[int, Value]:
    return {clone_id: value for clone_id, value in values.items() if clone_id not in failures}


def _make_files(handle: Handle, where: Target, template: str, paths: Mapping[int, str], failures: Failures) -> None:
    """Make the files at once; where that fails, each alone, so that one that cannot be made keeps no other from it."""
    try:
        overlays.make_overlays(endpoints.workspace(), where, template, list(paths.values()), handle.token)
    except CommandFailed:
        for clone_id, path in paths.items():
            handle.check()
            with failures.guard(clone_id):
                overlays.make_overlays(endpoints.workspace(), where, template, [path], handle.token)


def _refuse_foreign(connection: libvirt.virConnect, plan: Plan, failures: Failures) -> None:
    """Refuse names that a foreign VM has on the node; it is left as it is."""
    existing = {name: uuid for uuid, name in domains.existing(connection).items()}
    for clone_id, identity in plan.identities.items():
        with failures.guard(clone_id):
            if existing.get(identity.name, identity.uuid) != identity.uuid:
                raise Conflict(message("clones.name_taken_on_node", node=plan.where.name, name=identity.name))


def start_made(handle: Handle) -> None:
    """Have the new clones started that are to run: those for which somebody waits by now before the others. What was
    started since is left."""
    with handle.writing() as session:
        operation = session.get_one(Operation, handle.operation_id, with_for_update=True, populate_existing=True)
        ours = Clone.operation_id == handle.operation_id
        made = (ours, Clone.start_after, Clone.state == CloneState.STOPPED)
        to_start = session.scalars(select(Clone.id).where(*made).order_by(Clone.id)).all()
        session.execute(update(Clone).where(*made).values(start_after=False))
        actor, soon = session.get(User, handle.user_id) if handle.user_id else None, waited_for(operation)
        for clone_id in (one for one in to_start if one in soon):
            clone_actions.start_placed(session, actor, [clone_id], awaited=True)
        later = [one for one in to_start if one not in soon]
        if later and handle.params.get(STARTS):
            begun = {"state": CloneState.STARTING, "state_before": CloneState.STOPPED, "changed_round": ROUND_NOW}
            started = {"started_at": now(), "started_round": ROUND_NOW}
            session.execute(update(Clone).where(Clone.id.in_(later)).values(**begun, **started))
        elif later:
            clone_actions.start_placed(session, actor, later, awaited=handle.awaited)
