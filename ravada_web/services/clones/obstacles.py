"""What keeps a clone from starting: one rule for its card, for a launch and for a start by administrators."""

from dataclasses import dataclass
from enum import StrEnum

from ravada_web.models import Clone, CloneState, Observed, ServiceState, Trust
from ravada_web.services.storage import pools


class Obstacle(StrEnum):
    """Why a clone cannot start on its node: the node does not answer, shows another host key, or is out of service;
    its disk is full; or its memory is in use."""

    AWAY = "away"
    QUARANTINED = "quarantined"
    CLOSED = "closed"
    NO_SPACE = "no_space"
    NO_MEMORY = "no_memory"


@dataclass(frozen=True)
class Circumstances:
    """What a clone's start depends on: its own state, and those of its node. `startable_mib` is the memory that
    starts may take there, of which this one (with what starts before it) needs `needs_mib`."""

    state: str
    observed: str
    trust: str
    service_state: str
    has_room: bool
    needs_mib: int
    startable_mib: int


def circumstances(clone: Clone, startable_mib: int, earlier_mib: int = 0) -> Circumstances:
    """A clone's, from its rows; `earlier_mib` is what starts before it on the same node."""
    node = clone.node
    return Circumstances(
        state=clone.state,
        observed=node.observed,
        trust=node.trust,
        service_state=node.service_state,
        has_room=not pools.no_room(node),
        needs_mib=earlier_mib + clone.memory_mib,
        startable_mib=startable_mib,
    )


def of_node(observed: str, trust: str) -> Obstacle | None:
    """What keeps any work from being sent to a node."""
    if trust != Trust.PINNED:
        return Obstacle.QUARANTINED
    return Obstacle.AWAY if observed != Observed.UP else None


def obstacle_of(seen: Circumstances) -> Obstacle | None:
    """What keeps the clone from starting, the hardest to remove first; None for one that runs or is in work on a node
    that answers.

    One that is paused holds its memory still, and goes on though its node is out of service; like any other it may
    write to its disk.
    """
    if unserved := of_node(seen.observed, seen.trust):
        return unserved
    if seen.state == CloneState.UNREACHABLE:
        return Obstacle.AWAY
    if seen.state not in (CloneState.STOPPED, CloneState.PAUSED):
        return None
    stopped = seen.state == CloneState.STOPPED
    if stopped and seen.service_state != ServiceState.ENABLED:
        return Obstacle.CLOSED
    if not seen.has_room:
        return Obstacle.NO_SPACE
    return Obstacle.NO_MEMORY if stopped and seen.needs_mib > seen.startable_mib else None
