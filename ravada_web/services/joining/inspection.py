"""Inspecting a node: log in, survey it, read libvirt's facts by the way that will be used, write the findings."""

import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.hypervisor.connection import open_connection, socket_uri
from ravada_web.hypervisor.errors import HypervisorError, HypervisorUnreachable
from ravada_web.hypervisor.facts import NodeFacts, read_facts
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Access, Base, Node, Operation, OperationState, Trust, User
from ravada_web.models import now as this_moment
from ravada_web.needs import Need
from ravada_web.remote.errors import NodeUnreachable, RemoteError
from ravada_web.remote.links import LinkKeeper
from ravada_web.remote.login import Login
from ravada_web.remote.offers import read_offers
from ravada_web.remote.reach import reachable
from ravada_web.remote.sampling import sample
from ravada_web.remote.survey import Survey, survey
from ravada_web.remote.target import Target, Workspace
from ravada_web.services.joining import identification, identity
from ravada_web.services.joining.checks.findings import Finding, Needs, Peer, Seen, findings_of
from ravada_web.services.joining.checks.run import findings
from ravada_web.services.joining.login import log_in
from ravada_web.services.nodes import endpoints, offers
from ravada_web.services.nodes.facts import store_facts, store_sample
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.requests import request
from ravada_web.services.operations.subjects import JOINING_NODE
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

LINK_SECONDS, SAMPLE_SECONDS = 10.0, 10.0


def request_inspection(actor: User, node: Node) -> Operation:
    """Request all the checks. Raises Conflict while other work of the joining is under way."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        return request_in_transaction(session, actor, node)


def request_in_transaction(session: Session, actor: User, node: Node) -> Operation:
    """Write the operation of an inspection, in the present transaction."""
    session.flush()
    require_idle(session, node)
    return request(session, "node_inspect", message("joining.check", node=node.name), actor=actor, node=node)


def require_idle(session: Session, node: Node) -> None:
    """Raise Conflict while an operation of its joining works on the node, or nobody has accepted the key that it
    shows."""
    if node.trust != Trust.PINNED and not node.new_host_key:
        raise Conflict(message("joining.quarantined", node=node.name))
    busy = select(Operation.title).where(
        Operation.node_id == node.id,
        Operation.kind.in_(kinds_on(JOINING_NODE)),
        Operation.state.in_([OperationState.WAITING, OperationState.RUNNING]),
    )
    if title := session.scalar(busy):
        raise Conflict(message("joining.busy", title=title))


def require_own_host(node: Node) -> None:
    """Raise Conflict for a host that is another node already, or is not known to be this one."""
    if node.trust != Trust.PINNED:
        raise Conflict(message("joining.quarantined", node=node.name))
    if is_other_node(findings_of(node)):
        raise Conflict(message("joining.duplicate"))


def is_other_node(results: Iterable[Finding]) -> bool:
    """Whether the host was found to be another node, by another address."""
    return any(finding.code == "twice" and finding.state == "fail" for finding in results)


def inspect(handle: Handle) -> None:
    """The job's part. A host that is not reached, or gives us no access, is left as it was. One with another key than
    the node's is inspected only where it turns out to be the node."""
    node = db.session.get_one(Node, handle.node_id)
    if node.new_host_key and not identification.identify(handle):
        return
    where = endpoints.target(node)
    db.session.rollback()
    login, took = log_in(endpoints.workspace(), where)
    where = replace(where, root=login.power != "libvirt")
    seen = _survey_host(where, login, took)
    handle.check()
    _write(handle, seen)


def _survey_host(where: Target, login: Login, login_seconds: float) -> Seen:
    apart = endpoints.workspace()
    seen_host = survey(apart, where)
    ports = [item.port for item in seen_host.listeners]
    answering = frozenset[int]() if where.local else reachable(where.host, [where.port, *ports])
    started = time.monotonic()
    facts, error, hangs = _facts(where, seen_host)
    took = time.monotonic() - started
    node = db.session.get_one(Node, where.node_id)
    needs = _needs(node)
    paths = sorted({*needs.pools.values(), *(pool.path for pool in (facts.pools if facts else ()))})
    peers, files = tuple(_peers(node.id)), offers.firmware_files(db.session())
    db.session.rollback()
    return Seen(
        name=where.name,
        user=where.user,
        port=where.port,
        host_key=where.host_key,
        local=where.local,
        address=where.host,
        access=Access(login.power),
        source=login.source,
        socket_open=login.socket,
        sudo_said=login.sudo_said,
        login_seconds=login_seconds,
        survey=seen_host,
        reachable=answering,
        sample=sample(apart, where, paths, deadline=SAMPLE_SECONDS, fresh=True),
        host=read_offers(apart, where, files, deadline=SAMPLE_SECONDS, fresh=True),
        facts=facts,
        libvirt_error=error,
        libvirt_hangs=hangs,
        libvirt_seconds=took,
        peers=peers,
        needs=needs,
    )


def _facts(where: Target, seen: Survey) -> tuple[NodeFacts | None, Message, bool]:
    """libvirt's facts; or why there are none, and whether that is since it hangs."""
    if not seen.libvirt.listening:
        return None, message("joining.socket_missing"), False
    try:
        return _facts_through_a_link(where), NOTHING, False
    except HypervisorUnreachable as error:
        return None, error.message, error.hangs
    except (HypervisorError, RemoteError) as error:
        return None, error.message, False


def _facts_through_a_link(where: Target) -> NodeFacts:
    """Read the facts by the very path that will be used later, in a folder of its own, and take it down again."""
    if where.local:
        with open_connection(endpoints.libvirt_uri(where)) as connection:
            return read_facts(connection)
    with tempfile.TemporaryDirectory(dir=settings().links_dir, prefix="j") as folder:
        apart = Workspace(run_dir=Path(folder), key_file=settings().ssh_key)
        keeper = LinkKeeper(apart)
        try:
            _wait_for_link(keeper, where)
            with open_connection(socket_uri(apart.libvirt_socket(where))) as connection:
                return read_facts(connection)
        finally:
            keeper.close()


def _wait_for_link(keeper: LinkKeeper, where: Target) -> None:
    deadline = time.monotonic() + LINK_SECONDS
    while not (state := keeper.reconcile([where])[where.node_id]).up:
        if time.monotonic() > deadline:
            raise NodeUnreachable("lost", message("joining.no_link", name=where.name, why=state.reason))
        time.sleep(0.05)


def _peers(node_id: int) -> Iterable[Peer]:
    columns = (Node.name, Node.host_key, Node.host_uuid, Node.machine_id, Node.facts, Node.is_master, Node.former_hosts)
    for name, host_key, host_uuid, machine_id, facts, is_master, former in db.session.execute(
        select(*columns).where(Node.id != node_id)
    ):
        yield Peer(name, host_key, host_uuid or "", machine_id, str(facts.get("processor", "")), is_master)
        for host in former:
            yield Peer(name, host["host_key"], "", host["machine_id"], "", is_master=False, is_former=True)


def _needs(node: Node) -> Needs:
    """What the bases and the master ask of every node."""
    of_bases: dict[Need, list[str]] = {}
    for base in db.session.scalars(select(Base).order_by(Base.name)):
        with guarded(_no_needs, base=base.name):
            for need in offers.needs_of(base):
                of_bases.setdefault(need, []).append(base.name)
    master = db.session.scalar(select(Node).where(Node.is_master, Node.id != node.id))
    return Needs(
        of_bases=of_bases,
        pools={pool.name: pool.path for pool in master.pools if pool.active} if master else {},
        disk_floor_mib=settings().disk_reserve_mib,
        memory_reserve_mib=node.memory_reserve_mib,
    )


def _no_needs(_reason: Message) -> None:
    """A base whose template cannot be read keeps no node from being checked; its own page says what is wrong."""


def _write(handle: Handle, seen: Seen) -> None:
    results = findings(seen)
    with handle.writing() as session:
        node = session.get_one(Node, handle.node_id)
        node.findings, node.inspected_at = [finding.to_dict() for finding in results], this_moment()
        if not is_other_node(results):
            node.access = seen.access
            identity.note_machine_id(session, node, seen.survey.machine_id)
            node.source_address = seen.source or node.source_address
            if seen.facts is not None:
                store_facts(node, seen.facts, seen.host)
                if node.figures_at is None:  # the first ones; checks bring all others
                    store_sample(node, seen.sample, this_moment())
                node.facts = node.facts | {"processor": seen.survey.processor, "system": seen.survey.pretty_name}
    handle.result = {"failed": [finding.code for finding in results if finding.state == "fail"]}
