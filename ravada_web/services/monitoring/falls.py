"""Why a clone is off that ran: its host fell under it, or it was shut down."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from ravada_web.hypervisor.health import DomainState
from ravada_web.messages import message
from ravada_web.models import AT_REST, USING_MEMORY, Clone, CloneState, Node, Operation, OperationState
from ravada_web.services.audit import events
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import STARTED_CLONES, STOPPED_CLONES, Subject

# What is read of a clone: id, uuid, state, state_before, changed_round, out_of_space, node_id.
Known = Row[int, str, str, str, int, bool, int]


def note_boot(session: Session, node: Node, boot: str, number: int) -> None:
    """Keep the boot of the host whose domains this round has seen; "" says nothing. One that is new is told."""
    if not boot or boot == node.boot:
        return
    if node.boot:
        events.record(session, None, "rebooted", node, message("nodes.rebooted"))
    node.boot, node.boot_round = boot, number


def fell(clone: Known, seen: DomainState, node: Node) -> bool:
    """Whether the clone ran, as far as is known, and is off since its host was: nobody has shut it down.

    libvirt says of what ended while it watched that it ended. Of the others, those have fallen whose node was down, or
    whose host has been started since an operation moved them last, be it so fast that the node was never seen down.
    """
    ran = clone.state_before if clone.state == CloneState.UNREACHABLE else clone.state
    if seen.state != CloneState.STOPPED or seen.ended or ran not in USING_MEMORY:
        return False
    return clone.state == CloneState.UNREACHABLE or (node.boot != "" and clone.changed_round <= node.boot_round)


def may_be_falling(clone: Known, seen: DomainState) -> bool:
    """Whether the clone ran, and is off on a host that starts up or shuts down: that may have shut it down, on its own
    way off. What it is, is seen afterwards."""
    return clone.state in AT_REST and clone.state in USING_MEMORY and seen.state == CloneState.STOPPED


@dataclass(frozen=True)
class Thwarted:
    """The ids of clones of a node that were to be started, or to be off, and are not: their operations failed after the
    node had answered last, so that its death was in the way. What was wanted of them holds."""

    starts: Sequence[int] = ()
    stops: Sequence[int] = ()


def thwarted_since(session: Session, node: Node, moment: datetime | None) -> Thwarted:
    """Those whose operations failed after that moment (None: it never answered)."""
    if moment is None:
        return Thwarted()

    def failed(subject: Subject, *states: CloneState) -> Sequence[int]:
        query = select(Clone.id).join(Operation, Operation.id == Clone.operation_id)
        ours = (Clone.node_id == node.id, Clone.state.in_(states), Operation.kind.in_(kinds_on(subject)))
        over = (Operation.state == OperationState.FAILED, Operation.finished_at >= moment)
        return session.scalars(query.where(*ours, *over)).all()

    stops = failed(STOPPED_CLONES, CloneState.RUNNING, CloneState.PAUSED)
    return Thwarted(failed(STARTED_CLONES, CloneState.STOPPED), stops)
