"""Which host a node is: the one with its pinned key, which no connection goes without, and with its machine ID.

Another key is another machine, or one that must be accepted anew, and quarantines the node. Another machine ID under
the same key is asked about. A host UUID is only told of: boards without one have libvirt make one up at each start.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Node, User
from ravada_web.services.audit import events
from ravada_web.services.joining.checks.host import NEW_HOST_UUID, NEW_MACHINE_ID
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.transaction import transaction


def note_machine_id(session: Session, node: Node, seen: str) -> None:
    """Compare the machine ID that the host reports with the node's, the first that was seen. "" says nothing."""
    if not seen or seen == node.machine_id:
        node.other_machine_id = node.other_machine_id if not seen else ""
        return
    if node.machine_id:
        if node.other_machine_id != seen:
            changed = message("nodes.new_machine_id", old=node.machine_id, new=seen)
            events.record(session, None, "machine_id", node, changed)
        node.other_machine_id = seen
        return
    node.machine_id = seen
    if twin := session.scalar(select(Node.name).where(Node.machine_id == seen, Node.id != node.id).limit(1)):
        events.record(session, None, "machine_id", node, message("nodes.same_machine_id", id=seen, node=twin))


def note_host_uuid(session: Session, node: Node, seen: str) -> None:
    """Tell of a host UUID that is new, or another node's too; "" says nothing."""
    if not seen or seen == node.host_uuid:
        return
    if twin := session.scalar(select(Node.name).where(Node.host_uuid == seen, Node.id != node.id).limit(1)):
        events.record(session, None, "host_uuid", node, message("nodes.same_uuid", uuid=seen, node=twin))
    elif node.host_uuid:
        events.record(session, None, "host_uuid", node, message("nodes.new_uuid", old=node.host_uuid, new=seen))


def accept_machine_id(actor: User, node: Node) -> None:
    """Take the machine ID that the host reports now for the node's own. Raises Conflict where there is no other."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        row = session.get_one(Node, node.id, with_for_update=True, populate_existing=True)
        if not row.other_machine_id:
            raise Conflict(message("nodes.no_other_machine_id", node=row.name))
        row.machine_id, row.other_machine_id = row.other_machine_id, ""
        events.record(session, actor, "accept_machine_id", row, row.machine_id)


@dataclass(frozen=True)
class Shared:
    """What a node has in common with another one that only one host should have, and the command that ends it."""

    text: Message
    remedy: str


def shared(viewer: User, node: Node) -> Sequence[Shared]:
    """What the node shares with other nodes that the viewer may know of."""
    same_id, same_uuid = Node.machine_id == node.machine_id, Node.host_uuid == node.host_uuid
    ids = ([same_id] if node.machine_id else []) + ([same_uuid] if node.host_uuid else [])
    if not ids:
        return []
    query = select(Node.name, Node.machine_id).where(Node.id != node.id, or_(*ids), scopes.nodes(viewer))
    return [
        Shared(message("joining.machine_id_shared", node=name), NEW_MACHINE_ID)
        if node.machine_id and machine_id == node.machine_id
        else Shared(message("joining.host_uuid_shared", node=name), NEW_HOST_UUID)
        for name, machine_id in db.session.execute(query.order_by(Node.name))
    ]
