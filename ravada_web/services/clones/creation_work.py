"""Creating a batch of clones on its node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import libvirt
from sqlalchemy import select, update

from ravada_web.errors import Conflict
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.domain_xml import CloneIdentity, for_clone
from ravada_web.hypervisor.facts import NodeFacts, read_networks
from ravada_web.messages import message
from ravada_web.models import BaseDisk, Clone, CloneState, FileKind, Operation, User
from ravada_web.remote import overlays
from ravada_web.remote.target import Target
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import base_files
from ravada_web.services.clones.batch import claimed_clones, replica_directory, set_state
from ravada_web.services.clones.hastening import waited_for
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.facts import facts_of
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import pools
from ravada_web.services.storage.file_names import template_name
from ravada_web.services.transaction import transaction


@dataclass(frozen=True)
class Plan:
    """All that making a batch needs, read at once: later queries for the operation's row make objects load again."""

    clone_ids: Sequence[int]
    to_start: Sequence[int]
    where: Target
    uri: str
    facts: NodeFacts
    template_xml: str
    identities: Sequence[CloneIdentity]
    # For each of the base's files: the template, and the clones' files that are to be copies of it.
    copies: Mapping[str, Sequence[str]]


def create(handle: Handle) -> None:
    """Make the files of a batch with one command each, then define its domains over one connection."""
    plan = _plan(handle)
    if plan is None:
        return
    with transaction() as session:
        session.execute(update(Clone).where(Clone.id.in_(plan.clone_ids)).values(state=CloneState.CREATING))
    for template, paths in plan.copies.items():
        handle.check()
        overlays.make_overlays(endpoints.workspace(), plan.where, template, paths, handle.token)
    with open_connection(plan.uri) as connection:
        # Networks are started and stopped by hand: what was known of them a minute ago refuses nothing.
        facts = replace(plan.facts, networks=read_networks(connection))
        documents = [for_clone(plan.template_xml, identity, facts) for identity in plan.identities]
        _refuse_foreign(connection, plan)
        handle.check()
        domains.define_all(connection, documents)
    set_state(handle, plan.clone_ids, CloneState.STOPPED)
    if plan.to_start:
        start_made(handle, plan.to_start)


def _plan(handle: Handle) -> Plan | None:
    batch = claimed_clones(handle, CloneState.REQUESTED, CloneState.CREATING)
    if not batch:
        return None
    node, version = batch[0].node, batch[0].version
    base_files.require_whole(node, version.id)
    directory = replica_directory(version, node)
    where = endpoints.target(node)

    def own(clone: Clone, file: BaseDisk) -> str:
        return pools.in_pool(directory, clone.own_file(file))

    def of_kind(clone: Clone, kind: FileKind) -> dict[str, str]:
        return {file.target: own(clone, file) for file in version.files if file.kind == kind}

    return Plan(
        clone_ids=[clone.id for clone in batch],
        to_start=[clone.id for clone in batch if clone.start_after],
        where=where,
        uri=endpoints.libvirt_uri(where),
        facts=facts_of(node),
        template_xml=version.base.template_xml,
        identities=[
            CloneIdentity(
                name=clone.name,
                uuid=clone.uuid,
                macs=[nic.mac for nic in clone.nics],
                disks=of_kind(clone, FileKind.DISK),
                nvram=next(iter(of_kind(clone, FileKind.NVRAM).values()), ""),
            )
            for clone in batch
        ],
        copies={
            pools.in_pool(directory, template_name(file)): [own(clone, file) for clone in batch]
            for file in version.files
        },
    )


def _refuse_foreign(connection: libvirt.virConnect, plan: Plan) -> None:
    """Refuse names that a foreign VM has on the node; it is left as it is."""
    existing = {name: uuid for uuid, name in domains.existing(connection).items()}
    taken = [
        identity.name for identity in plan.identities if existing.get(identity.name, identity.uuid) != identity.uuid
    ]
    if taken:
        raise Conflict(message("clones.names_taken_on_node", node=plan.where.name, names=taken))


def start_made(handle: Handle, clone_ids: Sequence[int]) -> None:
    """Start new clones: those for which somebody waits by now before the others. What was started since is left."""
    with transaction() as session:
        operation = session.get_one(Operation, handle.operation_id, with_for_update=True, populate_existing=True)
        ours = Clone.operation_id == handle.operation_id
        query = select(Clone.id).where(Clone.id.in_(clone_ids), ours, Clone.state == CloneState.STOPPED)
        to_start = session.scalars(query.order_by(Clone.id)).all()
        session.execute(update(Clone).where(Clone.id.in_(clone_ids)).values(start_after=False))
        actor, soon = session.get(User, handle.user_id), waited_for(operation)
        for clone_id in (one for one in to_start if one in soon):
            clone_actions.start_placed(session, actor, [clone_id], awaited=True)
        if later := [one for one in to_start if one not in soon]:
            clone_actions.start_placed(session, actor, later, awaited=handle.awaited)
