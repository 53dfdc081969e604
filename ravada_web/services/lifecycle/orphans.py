"""What stands on a node and is nobody's: given up with the node, or known by no row (an orphan). It is brought back as
a desktop, exported, ignored until it changes, or deleted."""

from pathlib import PurePosixPath

from sqlalchemy import case, false, func, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import (
    OVER,
    UNDECIDED,
    Cause,
    Clone,
    CloneNic,
    CloneState,
    Node,
    Operation,
    Remains,
    RemainsKind,
    Replica,
    User,
    now,
)
from ravada_web.services.audit import events
from ravada_web.services.bases import replicas
from ravada_web.services.operations import outbox
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.paging import PER_PAGE, Page, paginate
from ravada_web.services.people import users
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import hold_lock, transaction

# Machines first: there is most to decide about them.
_BY_KIND = case({kind: number for number, kind in enumerate(RemainsKind)}, value=Remains.kind)
_IGNORED = (Remains.cause == Cause.UNKNOWN) & Remains.dismissed
# Of what is lost nothing is there; its owner is to be told.
_THERE = ~_IGNORED & (Remains.cause != Cause.LOST)


def page(
    viewer: User, node: Node, number: int = 1, *, ignored: bool = False, per_page: int = PER_PAGE
) -> Page[Remains]:
    """A page of what is left on the node, or of the orphans that are ignored, for those who may change nodes; nothing
    for others."""
    query = select(Remains).where(Remains.node_id == node.id, _IGNORED if ignored else _THERE)
    if not rights.can(viewer, "nodes.change"):
        query = query.where(false())
    return paginate(query.order_by(_BY_KIND, Remains.name, Remains.id), number, per_page)


def count_ignored(viewer: User, node: Node) -> int:
    """How many orphans there are ignored."""
    if not rights.can(viewer, "nodes.change"):
        return 0
    return db.session.scalar(select(func.count(Remains.id)).where(Remains.node_id == node.id, _IGNORED)) or 0


def get(viewer: User, node: Node, remains_id: int) -> Remains:
    """One of them, if it is to be decided about. Raises NotFound, and NotAllowed."""
    rights.require(viewer, "nodes.change")
    return _to_decide(db.session.get(Remains, remains_id), node)


def _held(session: Session, node: Node, remains_id: int) -> Remains:
    """The same, held until the transaction's end: another administrator may decide about it at the same time."""
    query = select(Remains).where(Remains.id == remains_id).with_for_update(key_share=True)
    return _to_decide(session.scalar(query.execution_options(populate_existing=True)), node)


def _to_decide(row: Remains | None, node: Node) -> Remains:
    if row is None or row.node_id != node.id or row.cause not in UNDECIDED:
        raise NotFound(message("nodes.no_such_remains"))
    return row


def bring_back(actor: User, node: Node, remains_id: int, owner: str) -> Clone:
    """Make a desktop again of what stands on the node: of its base and with its MAC addresses, for the user of that
    name. The next check says how it is. Raises InvalidInput for a name that is nobody's, and Conflict where the node is
    not up, or its name or base is not to be had."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        hold_lock(session, "placement")
        row = _held(session, node, remains_id)
        if not row.node.is_reachable:
            raise Conflict(message("nodes.take_back_first", node=node.name))
        if session.scalar(select(Clone.id).where(Clone.name == row.name)) is not None:
            raise Conflict(message("nodes.name_in_use", name=row.name))
        if row.uuid is None:
            raise Conflict(message("nodes.no_machine", name=row.name))
        if row.version is None:
            raise Conflict(message("nodes.no_base_known", name=row.name))
        require_not_exported(session, row)
        whose = users.find(owner.strip())
        if whose is None or not whose.active:
            raise InvalidInput({"owner": message("clones.no_active_user")})
        clone = Clone(
            name=row.name,
            uuid=row.uuid,
            base_id=row.version.base_id,
            version_id=row.version.id,
            node_id=row.node_id,
            owner_id=whose.id,
            volatile=row.volatile,
            memory_mib=row.version.base.memory_mib,
            state=CloneState.UNREACHABLE,
            nics=[CloneNic(position=position, mac=mac) for position, mac in enumerate(row.macs)],
        )
        session.add(clone)
        _have_its_base(session, row)
        session.delete(row)
        events.record(session, actor, "bring_back", clone, message("nodes.brought_back", node=node.name))
        replicas.settle(session, node_id=node.id)
        return clone


def require_not_exported(session: Session, row: Remains) -> None:
    """Refuse what cannot be while its disks are read. Raises Conflict."""
    query = select(Operation).where(Operation.kind == "node_export", Operation.node_id == row.node_id)
    under_way = session.scalars(query.where(Operation.state.not_in(OVER)))
    if any(operation.params["remains_id"] == row.id for operation in under_way):
        raise Conflict(message("nodes.being_exported", name=row.name))


def _have_its_base(session: Session, row: Remains) -> None:
    """It stands on its base's files: the copy there is one of ours again, looked at before it is used."""
    there = select(Replica.id).where(Replica.version_id == row.version_id, Replica.node_id == row.node_id)
    if session.scalar(there) is None and row.version_id is not None:
        directory = str(PurePosixPath(row.files[0]).parent) if row.files else ""
        session.add(Replica(version_id=row.version_id, node_id=row.node_id, directory=directory))


def delete(actor: User, node: Node, remains_id: int) -> None:
    """Have it ended and removed as soon as the node answers. Raises NotFound."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        row = _held(session, node, remains_id)
        row.cause, row.attempts, row.retry_at = Cause.DELETED, 0, None
        events.record(session, actor, "delete_remains", row.node, message("nodes.to_be_deleted", name=row.name))


def ignore(actor: User, node: Node, remains_id: int) -> None:
    """List an orphan no longer until it changes. Raises NotFound."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        row = _orphan(session, node, remains_id)
        row.dismissed, row.ignored_by, row.ignored_at = True, actor.name, now()
        events.record(session, actor, "ignore_remains", row.node, message("nodes.ignored", name=row.name))


def list_again(actor: User, node: Node, remains_id: int) -> None:
    """List an ignored orphan again. Raises NotFound, and Conflict where it is not ignored."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        row = _orphan(session, node, remains_id)
        if not row.dismissed:
            raise Conflict(message("nodes.not_ignored", name=row.name))
        row.dismissed, row.ignored_by, row.ignored_at = False, "", None
        events.record(session, actor, "list_remains", row.node, message("nodes.watched_again", name=row.name))


def _orphan(session: Session, node: Node, remains_id: int) -> Remains:
    """Of what was given up, `dismissed` is its owner's to say."""
    row = _held(session, node, remains_id)
    if row.cause != Cause.UNKNOWN:
        raise NotFound(message("nodes.no_such_remains"))
    return row


def request_look(actor: User, node: Node) -> Operation:
    """Have orphans looked for on the node. Raises Conflict where it does not answer."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        if not node.is_reachable:
            raise Conflict(message("nodes.not_up_now", node=node.name))
        title = message("nodes.title_orphans", node=node.name)
        return operation_requests.request(session, "node_orphans", title, actor=actor, node=node)
