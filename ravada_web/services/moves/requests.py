"""Where a clone may move to, and the request that it does."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.messages.clones import state_message
from ravada_web.messages.placement import reason_message
from ravada_web.models import ROUND_NOW, Cause, Clone, CloneState, Node, Operation, Remains, Replica, ServiceState, User
from ravada_web.placement.moving import CloneTraits, held
from ravada_web.placement.types import Decision as Choice
from ravada_web.platforms import Platform
from ravada_web.services.audit import events
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones import remains
from ravada_web.services.nodes.facts import facts_of
from ravada_web.services.nodes.platforms import hosts_among
from ravada_web.services.operations import outbox
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.placements import choice as placement_choice
from ravada_web.services.transaction import hold_lock, hold_rows, transaction


@dataclass(frozen=True)
class LiveLimits:
    """How long a live move may go on while its guest writes faster than it is copied, in seconds, and what comes then:
    the guest is paused until it is there ("stop"), or stays where it is ("give_up")."""

    deadline_seconds: int = 600
    at_deadline: Literal["stop", "give_up"] = "stop"


DEFAULT = LiveLimits()


@dataclass(frozen=True)
class Destination:
    """A node that a clone might move to, and why it cannot; an empty message where it can."""

    node: Node
    refusal: Message


def to_move(actor: User, clone_id: int) -> Clone:
    """The clone, if the actor may move it. Raises NotFound and NotAllowed."""
    clone = clone_list.get(actor, clone_id)
    rights.require(actor, "clones.control_all")
    return clone


def destinations(actor: User, clone: Clone) -> list[Destination]:
    """The other nodes that the actor may choose, those first that it can move to."""
    among = _among(actor, clone)
    nodes = db.session.scalars(select(Node).where(Node.id.in_(among)).order_by(Node.name)).all()
    refused = _refusals(db.session(), clone, _choice(db.session(), clone, among))
    found = [Destination(node, refused.get(node.id, NOTHING)) for node in nodes]
    return sorted(found, key=lambda one: bool(one.refusal))


def obstacle(clone: Clone, *, live: bool = False) -> Message:
    """Why the clone itself cannot move now, or not `live`, wherever to; an empty message where it can."""
    if live and clone.state != CloneState.RUNNING:
        return message("moves.must_run", state=state_message(clone.state))
    if not live and clone.state != CloneState.STOPPED:
        return message("moves.must_be_off", state=state_message(clone.state))
    if not clone.node.is_reachable:
        return message("moves.source_away", node=clone.node.name)
    return NOTHING


def request_move(
    actor: User, clone_id: int, node_id: int, *, live: bool = False, limits: LiveLimits = DEFAULT
) -> Operation:
    """Have a clone move to another node, one that is off, or `live` one that runs and goes on running: its place there
    is reserved from now on, and it stays where it is until all of it is there. Raises NotFound, NotAllowed, and
    InvalidInput with the reason beside `node_id`."""
    outbox.require_queue()
    with transaction() as session:
        hold_lock(session, "placement")
        hold_rows(session, Clone, [clone_id])
        return move_within(session, actor, clone_id, node_id, live=live, limits=limits)


def move_within(
    session: Session, actor: User, clone_id: int, node_id: int, *, live: bool = False, limits: LiveLimits = DEFAULT
) -> Operation:
    """The same in the present transaction, which holds the lock of placement and the clone's row. Nothing is written
    where it raises."""
    clone = to_move(actor, clone_id)
    session.refresh(clone)
    node = session.scalar(select(Node).where(Node.id == node_id, Node.id.in_(_among(actor, clone))))
    _refuse(obstacle(clone, live=live) or _unknown(clone, node_id, node))
    assert node is not None, "one that is unknown was refused"
    choice = _choice(session, clone, select(Node.id).where(Node.id == node_id), live=live)
    _refuse(_refusals(session, clone, choice).get(node_id, NOTHING))
    if live:
        _refuse(not_live(session, clone, node))
    return _begin(session, actor, clone, node, choice, {"live": True, **asdict(limits)} if live else {})


def not_live(session: Session, clone: Clone, node: Node) -> Message:
    """Why the clone cannot go on running on the node, though it may be there; an empty message where it can."""
    host = hosts_among(session, select(Node.id).where(Node.id == node.id)).get(node.id)
    traits = CloneTraits(
        node_id=clone.node_id,
        running=True,
        memory_mib=clone.memory_mib,
        disk_mib=0,
        arch=facts_of(clone.node).arch,
        virt_type=clone.virt_type,
        platform=Platform(clone.machine, clone.processor),
    )
    reason = held(traits, host)
    return message("clones.why_other", node=node.name, reason=reason_message(reason)) if reason else NOTHING


def _refuse(why: Message) -> None:
    if why:
        raise InvalidInput({"node_id": why})


def _among(actor: User, clone: Clone) -> Select[int]:
    chosen = scopes.nodes_for_clones_of(actor, clone.base_id)
    others = select(Node.id).where(Node.id != clone.node_id, Node.service_state != ServiceState.GIVEN_UP)
    return others if chosen is None else others.where(Node.id.in_(chosen))


def _unknown(clone: Clone, node_id: int, node: Node | None) -> Message:
    if node_id == clone.node_id:
        return message("moves.is_there", node=clone.node.name)
    return NOTHING if node is not None else message("moves.no_such_node")


def _choice(session: Session, clone: Clone, among: Select[int], *, live: bool = False) -> Choice:
    return placement_choice.choose(session, clone.base, clone.version, 1, live, among)


def _refusals(session: Session, clone: Clone, choice: Choice) -> Mapping[int, Message]:
    """Why nodes do not take the clone, by their ids."""
    refused = {
        verdict.node_id: message("clones.why_other", node=verdict.node_name, reason=reason_message(verdict.reason))
        for verdict in choice.verdicts
        if verdict.reason is not None and not verdict.taken
    }
    left = select(Node.id, Node.name).join(Remains, Remains.node_id == Node.id).where(Remains.uuid == clone.uuid)
    for node_id, name in session.execute(left):
        refused.setdefault(node_id, message("moves.former_there", node=name))
    return refused


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
    clone.state, clone.state_before, clone.reason = CloneState.MOVING, clone.state, NOTHING
    clone.operation_id, clone.changed_round = operation.id, ROUND_NOW
    session.flush()  # a second request in this transaction sees it
    events.record(session, actor, "move", clone, message("moves.asked", **names))
    return operation
