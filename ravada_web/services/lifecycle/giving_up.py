"""A node that will not come back: what stands there, giving it up, and taking it back where it is there again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import OVER, Base, Clone, Node, Observed, Operation, ServiceState, User
from ravada_web.services.audit import events
from ravada_web.services.bases import replicas
from ravada_web.services.bases.replicas import ReplicaRow
from ravada_web.services.lifecycle.held import held
from ravada_web.services.operations import outbox
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import hold_lock, transaction

KIND = "node_give_up"
# What may be done with a group of desktops: they wait, volatile ones until they are made again on another node, or are
# given up with their node.
WAIT, GIVE_UP = "wait", "give_up"
CHOICES = (WAIT, GIVE_UP)
# What goes on though the node is given up: its desktops are made again elsewhere.
_SPARED = ("clones_remake", "node_return")


@dataclass(frozen=True)
class Standing:
    """All that stands on a node: its desktops by kind, the copies of bases there, the bases whose original is there,
    and the operations that are not over."""

    volatile: Sequence[Clone]
    persistent: Sequence[Clone]
    replicas: Sequence[ReplicaRow]
    originals: Sequence[Base]
    operations: Sequence[Operation]


def standing(actor: User, node: Node) -> Standing:
    """What stands on the node. Raises NotAllowed."""
    rights.require(actor, "nodes.change")
    shown = (joinedload(Clone.owner), joinedload(Clone.base))
    of_node = select(Clone).where(Clone.node_id == node.id).options(*shown).order_by(Clone.sort_name)
    clones = db.session.scalars(of_node).unique().all()
    open_now = select(Operation).where(Operation.node_id == node.id, Operation.state.not_in(OVER))
    return Standing(
        volatile=[clone for clone in clones if clone.volatile],
        persistent=[clone for clone in clones if not clone.volatile],
        replicas=replicas.on_node(actor, node),
        originals=db.session.scalars(select(Base).where(Base.node_id == node.id).order_by(Base.name)).all(),
        operations=db.session.scalars(open_now.order_by(Operation.id)).all(),
    )


def give_up(actor: User, node: Node, typed: str, *, volatile: str, persistent: str) -> Operation:
    """Give a node up: nothing is sent there from this moment on, its operations are stopped, and one operation does
    with its desktops what was chosen for each kind. `typed` is the node's name, as the person typed it.

    Raises InvalidInput, Conflict for a node that is up, for the master, and where somebody was quicker.
    """
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    chosen = {"volatile": volatile, "persistent": persistent}
    wrong = {name: message("nodes.choose") for name, value in chosen.items() if value not in CHOICES}
    if typed.strip() != node.name:
        wrong["typed"] = message("nodes.type_name", node=node.name)
    if wrong:
        raise InvalidInput(wrong)
    with transaction() as session:
        # Nothing is placed on it meanwhile.
        hold_lock(session, "placement")
        row = held(session, node.id)
        _require_gone(row)
        row.service_state = ServiceState.GIVEN_UP
        events.record(session, actor, "give_up_node", row, message("nodes.given_up_by", name=actor.name))
        operation_requests.stop_on(session, actor, row, _SPARED)
        title = message("nodes.title_give_up", node=row.name)
        return operation_requests.request(session, KIND, title, actor=actor, node=row, params=chosen)


def require_given_up(node: Node) -> None:
    """Raise Conflict for a node that was not given up, or was taken back."""
    if not node.is_given_up:
        raise Conflict(message("nodes.not_given_up", node=node.name))


def _require_gone(node: Node) -> None:
    if node.is_given_up:
        raise Conflict(message("nodes.given_up_already", node=node.name))
    if node.is_master:
        raise Conflict(message("nodes.give_up_master"))
    if node.observed == Observed.UP and node.is_reachable:
        raise Conflict(message("nodes.give_up_answers", node=node.name))


def take_back(actor: User, node: Node) -> None:
    """Have a node that was given up be a node again, disabled until somebody enables it; what must not live there is
    removed once it answers. Raises Conflict for one that was not given up, or is being given up still."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        row = held(session, node.id)
        require_given_up(row)
        open_now = (Operation.node_id == row.id, Operation.kind == KIND, Operation.state.not_in(OVER))
        if session.scalar(select(Operation.id).where(*open_now).limit(1)) is not None:
            raise Conflict(message("nodes.give_up_under_way", node=row.name))
        row.service_state = ServiceState.DISABLED
        events.record(session, actor, "take_back", row)
