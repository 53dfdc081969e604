"""How a host becomes a node, its first step: read its key and have it accepted; that writes the row.

The host's address waits in the operation's `params` until then. What follows are the steps of `inspection` (do we
have access, is all there that is needed), `key_install` and `remedies` (help with both), and `verification` (does a
VM run).
"""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import Conflict, InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Access, Node, Observed, Operation, OperationState, ServiceState, Trust, User
from ravada_web.remote.errors import NodeUnreachable
from ravada_web.remote.trust import fetch_host_key
from ravada_web.services.audit import events
from ravada_web.services.joining import inspection
from ravada_web.services.nodes.validation import invalid_place
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.listing import get
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

SCAN_SECONDS = 5.0


def request_join(actor: User, *, name: str, address: str, port: int, user: str) -> Operation:
    """Request the host's key. Raises InvalidInput for values that are malformed or taken."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        if wrong := invalid_place(name, address, port, user):
            raise InvalidInput(wrong)
        params = {"name": name, "address": address, "port": port, "user": user}
        title = message("joining.read_key", name=name)
        return request(session, "node_scan", title, actor=actor, params=params)


def request_rekey(actor: User, node: Node) -> Operation:
    """Request the present host key of a quarantined node, to accept the new one. Raises Conflict."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        if node.trust != Trust.CHANGED:
            raise Conflict(message("joining.key_unchanged", node=node.name))
        params = {"name": node.name, "address": node.address, "port": node.port, "user": node.user}
        title = message("joining.read_new_key", name=node.name)
        return request(session, "node_scan", title, actor=actor, node=node, params=params | {"node_id": node.id})


def scan(handle: Handle) -> None:
    """The job's part: read the host's key."""
    try:
        key = fetch_host_key(handle.params["address"], handle.params["port"], deadline=SCAN_SECONDS)
    except NodeUnreachable as error:
        raise InvalidInput({"port" if error.code == "refused" else "address": error.message}) from error
    handle.result = {
        "fingerprint": key.fingerprint,
        "host_key": key.line,
        "key_type": key.line.split()[0],
        "source": key.source,
    }


def accept_join(actor: User, scan_operation_id: int, fingerprint: str) -> Operation:
    """Accept the key that was read, by its fingerprint: write the node's row; or, of a node that is there already, have
    the host with the new key looked at, which need not be the node. Returns the inspection that follows at once.

    Raises InvalidInput when the fingerprint is not the one that was read, or name or address were taken meanwhile,
    and Conflict where the node shows its accepted key again.
    """
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    scanned = get(actor, scan_operation_id, "node_scan")
    if scanned.state != OperationState.DONE:
        raise NotFound(message("joining.no_key_to_accept"))
    if fingerprint != scanned.result["fingerprint"]:
        raise InvalidInput({"fingerprint": message("joining.other_fingerprint")})
    try:
        with transaction() as session:
            known = scanned.params.get("node_id")
            node = _with_newcomer(session, actor, scanned, known) if known else _joined(session, actor, scanned)
            return inspection.request_in_transaction(session, actor, node)
    except IntegrityError as error:
        raise InvalidInput({"name": message("joining.place_taken")}) from error


def _with_newcomer(session: Session, actor: User, scanned: Operation, node_id: int) -> Node:
    node = session.get(Node, node_id, with_for_update=True, populate_existing=True)
    if node is None:
        raise NotFound(message("nodes.no_such"))
    if node.trust != Trust.CHANGED:
        raise Conflict(message("joining.key_unchanged", node=node.name))
    node.forget_newcomer()
    node.new_host_key = scanned.result["host_key"]
    events.record(session, actor, "accept_key", node, _shown(node, scanned))
    return node


def _joined(session: Session, actor: User, scanned: Operation) -> Node:
    node = _new_node(scanned)
    node.host_key = scanned.result["host_key"]
    session.add(node)
    events.record(session, actor, "join", node, _shown(node, scanned))
    return node


def _shown(node: Node, scanned: Operation) -> str:
    return f"{node.address}:{node.port} {scanned.result['fingerprint']}"


def _new_node(scanned: Operation) -> Node:
    params = scanned.params
    if wrong := invalid_place(params["name"], params["address"], params["port"], params["user"]):
        raise InvalidInput(wrong)
    return Node(
        name=params["name"],
        address=params["address"],
        port=params["port"],
        user=params["user"],
        is_master=db.session.scalar(select(Node.id).limit(1)) is None,
        service_state=ServiceState.NEW,
        observed=Observed.UNKNOWN,
        access=Access.NONE,
        source_address=scanned.result["source"],
        builds_at_once=settings().builds_per_node,
    )
