"""How a host becomes a node: read its key, have it accepted, prove access and libvirt, write the row.

The host's address waits in the operation's `params` until the row is written; a failure leaves no row.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ravada_web.errors import Conflict, InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.hypervisor.connection import open_connection, socket_uri
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.facts import NodeFacts, read_facts
from ravada_web.models import Node, Observed, Operation, OperationState, Trust, User, Wanted, now
from ravada_web.remote.errors import KeyRefused, NodeUnreachable
from ravada_web.remote.links import LinkKeeper
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.trust import check_login, fetch_host_key
from ravada_web.services import access, events, links, outbox
from ravada_web.services.node_rows import store_facts
from ravada_web.services.nodes import invalid_place
from ravada_web.services.operations import ask, get, settings
from ravada_web.services.running import Handle
from ravada_web.services.transaction import transaction

SCAN_SECONDS = 5.0
LINK_SECONDS = 10.0


def begin_join(actor: User, *, name: str, address: str, port: int, user: str) -> Operation:
    """Ask for the host's key. Raises InvalidInput for values that are malformed or taken."""
    access.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        if wrong := invalid_place(name, address, port, user):
            raise InvalidInput(wrong)
        params = {"name": name, "address": address, "port": port, "user": user}
        title = _("Read the host key of %(name)s", name=name)
        return ask(session, "node_scan", title, actor=actor, params=params)


def begin_rekey(actor: User, node: Node) -> Operation:
    """Ask for the present host key of a quarantined node, to accept it anew. Raises Conflict."""
    access.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        if node.trust != Trust.CHANGED:
            raise Conflict(_("Node %(node)s still has the host key that was accepted.", node=node.name))
        params = {"name": node.name, "address": node.address, "port": node.port, "user": node.user}
        title = _("Read the new host key of %(name)s", name=node.name)
        return ask(session, "node_scan", title, actor=actor, node=node, params=params | {"node_id": node.id})


def accept_join(actor: User, scan_operation_id: int, fingerprint: str) -> Operation:
    """Accept the key that was read, by its fingerprint, and ask for the rest of the joining.

    Raises InvalidInput when the fingerprint is not the one that was read.
    """
    access.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        scan = get(actor, scan_operation_id)
        if scan.kind != "node_scan" or scan.state != OperationState.DONE:
            raise NotFound(_("There is no host key to accept here; add the node again."))
        if fingerprint != scan.result["fingerprint"]:
            raise InvalidInput({"fingerprint": _("This is not the fingerprint that the host showed.")})
        params = scan.params | {"host_key": scan.result["host_key"], "fingerprint": fingerprint}
        title = _("Join node %(name)s", name=scan.params["name"])
        return ask(session, "node_join", title, actor=actor, node=scan.node, params=params)


def scan(handle: Handle) -> None:
    """The job's part: read the host's key."""
    try:
        key = fetch_host_key(handle.params["address"], handle.params["port"], deadline=SCAN_SECONDS)
    except NodeUnreachable as error:
        raise InvalidInput({"port" if error.code == "refused" else "address": str(error)}) from error
    handle.result = {"fingerprint": key.fingerprint, "host_key": key.line, "key_type": key.line.split()[0]}


def join(handle: Handle) -> None:
    """The job's part: log in with the accepted key, read libvirt's facts through a link, write the row."""
    where = _unjoined(handle)
    try:
        check_login(links.workspace(), where, deadline=SCAN_SECONDS)
    except KeyRefused as error:
        raise InvalidInput({"user": str(error)}) from error
    except NodeUnreachable as error:
        raise InvalidInput({"address": str(error)}) from error
    try:
        facts = _facts_through_a_link(where)
    except HypervisorError as error:
        text = _(
            "SSH works, but libvirt does not answer on %(name)s: %(error)s. Install and start it there "
            "(Debian, Ubuntu: apt install libvirt-daemon-system qemu-system-x86), then add the node again.",
            name=where.name,
            error=str(error),
        )
        raise InvalidInput({"address": text}) from error
    handle.check()
    handle.result = {"node_id": _write(handle, facts)}


def _unjoined(handle: Handle) -> Target:
    """The host as it will be reached; its number is the operation's, negative numbers being nobody's."""
    wanted: dict[str, Any] = handle.params
    return Target(
        handle.operation_id,
        wanted["name"],
        wanted["address"],
        wanted["port"],
        wanted["user"],
        wanted["host_key"],
    )


def _facts_through_a_link(where: Target) -> NodeFacts:
    """Read the facts by the very path that will be used later, in a folder of its own, and take it down again."""
    with tempfile.TemporaryDirectory(dir=settings().run_dir, prefix="j") as folder:
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
            raise NodeUnreachable("lost", _("The link to %(name)s: %(why)s", name=where.name, why=state.reason))
        time.sleep(0.05)


def _write(handle: Handle, facts: NodeFacts) -> int:
    """Write the node's row, or pin the new key of the one that has it. Raises InvalidInput when it is known."""
    actor = db.session.get(User, handle.user_id)
    node_id = handle.params.get("node_id")
    try:
        with transaction() as session:
            node = session.get_one(Node, node_id) if node_id else _new_node(handle, facts)
            node.host_key, node.trust = handle.params["host_key"], Trust.PINNED
            node.observed, node.reason, node.last_seen_at = Observed.UP, "", now()
            session.add(node)
            store_facts(node, facts)
            text = f"{node.address}:{node.port} {handle.params['fingerprint']}"
            events.record(session, actor, "accept_key" if node_id else "join", node, text)
            return node.id
    except IntegrityError as error:
        raise InvalidInput({"name": _("Another node took this name or address meanwhile.")}) from error


def _new_node(handle: Handle, facts: NodeFacts) -> Node:
    wanted = handle.params
    if wrong := invalid_place(wanted["name"], wanted["address"], wanted["port"], wanted["user"]):
        raise InvalidInput(wrong)
    if other := db.session.scalar(select(Node.name).where(Node.host_uuid == facts.host_uuid)):
        raise InvalidInput({"address": _("This host is node %(name)s already, by another address.", name=other)})
    first = db.session.scalar(select(Node.id).limit(1)) is None
    return Node(
        name=wanted["name"],
        address=wanted["address"],
        port=wanted["port"],
        user=wanted["user"],
        is_master=first,
        wanted=Wanted.ENABLED,
        builds_at_once=settings().builds_per_node,
    )
