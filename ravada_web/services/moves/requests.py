"""Where a clone may move to, and the request that it does."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.messages.clones import state_message
from ravada_web.models import ROUND_NOW, Cause, Clone, CloneState, Node, Operation, Replica, User
from ravada_web.placement.moving import Way as MoveWay
from ravada_web.placement.types import Decision as Choice
from ravada_web.services.audit import events
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones import remains
from ravada_web.services.moves.prospects import Prospect, Prospects
from ravada_web.services.operations import outbox
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.placements import choice as placement_choice
from ravada_web.services.transaction import hold_lock, hold_rows, transaction

AtDeadline = Literal["stop", "give_up"]
# What is left of the time that a move's job may take is for the rest of a guest that was paused.
MOST_SECONDS = 4 * 60 * 60


@dataclass(frozen=True)
class LiveLimits:
    """How long a live move may go on while its guest writes faster than it is copied, in seconds, and what comes then:
    the guest is paused until it is there ("stop"), or stays where it is ("give_up")."""

    deadline_seconds: int = 600
    at_deadline: AtDeadline = "stop"

    def wrong(self) -> dict[str, Message]:
        """What is wrong with them, by the fields' names."""
        wrong: dict[str, Message] = {}
        if not 1 <= self.deadline_seconds <= MOST_SECONDS:
            wrong["deadline_seconds"] = message("plans.range", least=1, most=MOST_SECONDS)
        if self.at_deadline not in get_args(AtDeadline):
            wrong["at_deadline"] = message("nodes.choose")
        return wrong


DEFAULT = LiveLimits()
# Beside a clone that is off: one that goes on running, or is shut down first and started again where it comes to.
Way = Literal["off", "live", "restart"]


def to_move(actor: User, clone_id: int) -> Clone:
    """The clone, if the actor may move it. Raises NotFound and NotAllowed."""
    clone = clone_list.get(actor, clone_id)
    rights.require(actor, "clones.control_all")
    return clone


def prospects(actor: User, clone: Clone) -> list[Prospect]:
    """What a move to each of the nodes that the actor may choose would come to, those first that it can go to."""
    nodes = db.session.scalars(select(Node).where(Node.id.in_(nodes_for(actor, clone))).order_by(Node.name)).all()
    seen = Prospects(db.session(), clone, nodes)
    order = list(MoveWay)
    return sorted((seen.of(node) for node in nodes), key=lambda one: order.index(one.way))


def obstacle(clone: Clone) -> Message:
    """Why the clone itself cannot move now, wherever to and however; an empty message where it can."""
    return _obstacle(clone, "live" if clone.state == CloneState.RUNNING else "off")


def _obstacle(clone: Clone, way: Way) -> Message:
    """Why the clone itself cannot move so."""
    if way == "off" and clone.state == CloneState.RUNNING:
        return message("moves.choose_how")
    if way == "off" and clone.state != CloneState.STOPPED:
        return message("moves.must_be_off", state=state_message(clone.state))
    if way != "off" and clone.state != CloneState.RUNNING:
        return message("moves.must_run", state=state_message(clone.state))
    if not clone.node.is_reachable:
        return message("moves.source_away", node=clone.node.name)
    return NOTHING


def request_move(
    actor: User, clone_id: int, node_id: int, *, live: bool = False, restart: bool = False, limits: LiveLimits = DEFAULT
) -> Operation:
    """Have a clone move to another node: one that is off, or one that runs, which goes on running (`live`) or is shut
    down first and started there (`restart`). Its place there is reserved from now on, and it stays where it is until
    all of it is there. Raises NotFound, NotAllowed, and InvalidInput with the reason beside `node_id`, or
    beside the limit that is wrong."""
    outbox.require_queue()
    if live and (wrong := limits.wrong()):
        raise InvalidInput(wrong)
    with transaction() as session:
        hold_lock(session, "placement")
        hold_rows(session, Clone, [clone_id])
        return move_within(session, actor, clone_id, node_id, live=live, restart=restart, limits=limits)


def move_within(
    session: Session,
    actor: User,
    clone_id: int,
    node_id: int,
    *,
    live: bool = False,
    restart: bool = False,
    limits: LiveLimits = DEFAULT,
) -> Operation:
    """The same in the present transaction, which holds the lock of placement and the clone's row. Nothing is written
    where it raises."""
    clone = to_move(actor, clone_id)
    session.refresh(clone)
    way: Way = "live" if live else "restart" if restart else "off"
    node = session.scalar(select(Node).where(Node.id == node_id, Node.id.in_(nodes_for(actor, clone))))
    _refuse(_obstacle(clone, way) or _unknown(clone, node_id, node))
    assert node is not None, "one that is unknown was refused"
    _refuse(Prospects(session, clone, [node]).refusal(node, live=live))
    # What it takes there, it was judged by already.
    choice = placement_choice.choose(
        session, clone.base, clone.version, 1, way != "off", select(Node.id).where(Node.id == node_id), again=True
    )
    how = {"live": True, **asdict(limits)} if live else {"restart": True} if restart else {}
    return _begin(session, actor, clone, node, choice, how)


def nodes_for(actor: User, clone: Clone) -> Select[int]:
    """The ids of the other nodes that the actor may choose."""
    chosen = scopes.nodes_for_clones_of(actor, clone.base_id)
    others = select(Node.id).where(Node.id != clone.node_id)
    return others if chosen is None else others.where(Node.id.in_(chosen))


def _refuse(why: Message) -> None:
    if why:
        raise InvalidInput({"node_id": why})


def _unknown(clone: Clone, node_id: int, node: Node | None) -> Message:
    if node_id == clone.node_id:
        return message("moves.is_there", node=clone.node.name)
    return NOTHING if node is not None else message("moves.no_such_node")


def _begin(
    session: Session, actor: User, clone: Clone, node: Node, choice: Choice, how: Mapping[str, Any]
) -> Operation:
    decision = placement_choice.record(session, clone.base, actor, choice)
    held = select(Replica.directory).where(Replica.version_id == clone.version_id, Replica.node_id == node.id)
    session.add(remains.of_clone(clone, node.id, session.scalars(held).one(), Cause.ARRIVING))
    names = {"source": clone.node.name, "target": node.name}
    operation = operation_requests.request(
        session,
        "clones_move",
        message("moves.title", clone=clone.name, **names),
        actor=actor,
        node=node,
        base_id=clone.base_id,
        params={
            "clone_id": clone.id,
            "uuid": clone.uuid,
            "source_id": clone.node_id,
            "target_id": node.id,
            "decision_id": decision.id,
            **how,
        },
    )
    session.flush()
    working = CloneState.STOPPING if how.get("restart") else CloneState.MOVING
    clone.state, clone.state_before, clone.reason = working, clone.state, NOTHING
    clone.operation_id, clone.changed_round = operation.id, ROUND_NOW
    session.flush()  # a second request in this transaction sees it
    events.record(session, actor, "move", clone, message("moves.asked", **names))
    return operation
