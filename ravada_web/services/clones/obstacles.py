"""What keeps a clone from starting: placement's one rule, for its card, for a launch and for starts of many."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.messages import Message, message
from ravada_web.messages.placement import reason_message
from ravada_web.models import Clone, CloneState, Node, Replica, ReplicaState
from ravada_web.placement import starting
from ravada_web.placement.starting import Start
from ravada_web.placement.types import NodeState, Reason
from ravada_web.services.nodes.offers import needs_of
from ravada_web.services.placements import loads as placements_loads
from ravada_web.services.storage import pools

WAITING = (CloneState.STOPPED, CloneState.PAUSED)


class Obstacle(StrEnum):
    """Why a clone cannot start on its node, for users: the node does not answer, shows another host key, or is out of
    service; its disk is full, or its pool away; its memory or its processors are promised to others, or not known;
    or it lacks something else that the clone needs."""

    AWAY = "away"
    QUARANTINED = "quarantined"
    CLOSED = "closed"
    NO_SPACE = "no_space"
    NO_POOL = "no_pool"
    NO_MEMORY = "no_memory"
    NO_PROCESSORS = "no_processors"
    NOT_KNOWN = "not_known"
    NO_BASE = "no_base"
    LACKS = "lacks"

    @property
    def passes(self) -> bool:
        """Whether it may be gone at any moment, when others shut down or something is deleted: a try is worth it."""
        return self in (
            Obstacle.NO_SPACE,
            Obstacle.NO_MEMORY,
            Obstacle.NO_PROCESSORS,
            Obstacle.NOT_KNOWN,
            Obstacle.NO_BASE,
        )


_OBSTACLES = {
    "given_up": Obstacle.AWAY,
    "quarantined": Obstacle.QUARANTINED,
    "not_up": Obstacle.AWAY,
    "not_enabled": Obstacle.CLOSED,
    "disk": Obstacle.NO_SPACE,
    "disk_unknown": Obstacle.NO_POOL,
    "pool_off": Obstacle.NO_POOL,
    "memory": Obstacle.NO_MEMORY,
    "kept_for_loss": Obstacle.NO_MEMORY,
    "lost_with_it": Obstacle.NO_MEMORY,
    "memory_unknown": Obstacle.NOT_KNOWN,
    "processors": Obstacle.NO_PROCESSORS,
    "replica_not_ready": Obstacle.NO_BASE,
}


def obstacle_of(reason: Reason) -> Obstacle:
    """What placement's reason against the clone's node is to its user."""
    return _OBSTACLES.get(reason.code, Obstacle.LACKS)


@dataclass(frozen=True)
class Nodes:
    """The nodes of clones as the rule sees them, by their ids; and the states of the copies of base versions there, by
    the version's id and the node's."""

    states: Mapping[int, NodeState]
    replicas: Mapping[tuple[int, int], str]

    def start_of(self, clone: Clone) -> Start:
        """What the clone takes of its node when it starts."""
        paused = clone.state == CloneState.PAUSED
        # Without a row it is for the start itself to say what is missing.
        replica = self.replicas.get((clone.version_id, clone.node_id), ReplicaState.READY)
        return Start(clone.node_id, clone.memory_mib, clone.base.vcpus, paused, needs_of(clone.base), replica)

    def with_started(self, clone: Clone) -> "Nodes":
        """The same once the clone runs."""
        running = starting.charge(self.states[clone.node_id], self.start_of(clone))
        return replace(self, states={**self.states, clone.node_id: running})


def nodes_of(session: Session, clones: Collection[Clone]) -> Nodes:
    """The nodes of these clones. Hold the placement lock to decide by them."""
    states = placements_loads.starting_states(session, {clone.node for clone in clones})
    held = select(Replica.version_id, Replica.node_id, Replica.state)
    versions = {clone.version_id for clone in clones}
    found = session.execute(held.where(Replica.version_id.in_(versions), Replica.node_id.in_(states))).all()
    return Nodes(states, {(version_id, node_id): state for version_id, node_id, state in found})


def reason_against(clone: Clone, nodes: Nodes) -> Reason | None:
    """What keeps the clone from starting; None where it may, and for one that runs or is in work on a node that
    answers."""
    node = nodes.states[clone.node_id]
    if clone.state in WAITING:
        return starting.obstacle(node, nodes.start_of(clone))
    if reason := starting.unserved(node):
        return reason
    # The node answers again; what stands there is not known before its next check.
    return Reason("not_up", {"observed": node.observed}) if clone.state == CloneState.UNREACHABLE else None


def explain(node: Node, reason: Reason) -> Message:
    """The reason as a sentence for those who may know of nodes."""
    figures: dict[str, Any] = dict(reason.figures)
    match reason.code:
        case "quarantined":
            return message("clones.why_quarantined", node=node.name)
        case "given_up":
            return message("clones.why_given_up", node=node.name)
        case "not_up":
            return message("clones.why_away", node=node.name, why=node.why)
        case "not_enabled":
            return message("clones.why_closed", node=node.name)
        case "disk" | "disk_unknown" | "pool_off" if full := pools.no_room(node):
            return full
        case "memory":
            return message("clones.why_memory", node=node.name, **figures)
        case "processors":
            return message("clones.why_processors", node=node.name, **figures)
    return message("clones.why_other", node=node.name, reason=reason_message(reason))
