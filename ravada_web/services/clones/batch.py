"""A job's batch of clones: claimed, and their states set."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.hypervisor.errors import HypervisorUnreachable
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import ROUND_NOW, BaseVersion, Clone, CloneState, Node, Replica
from ravada_web.remote.errors import (
    DeadlineExceeded,
    HostKeyChanged,
    InvalidTarget,
    KeyRefused,
    NodeUnreachable,
    OwnFault,
)
from ravada_web.services.clones.outcomes import by_reason
from ravada_web.services.operations.execution import Cancelled, Handle, Superseded
from ravada_web.services.operations.subjects import started_unless


def claimed_clones(handle: Handle, *states: CloneState) -> list[Clone]:
    """The operation's clones that are still in a state it works on."""
    query = select(Clone).where(Clone.operation_id == handle.operation_id, Clone.state.in_(states))
    shown = (joinedload(Clone.node), joinedload(Clone.version), joinedload(Clone.base))
    return list(db.session.scalars(query.options(*shown).order_by(Clone.id)).unique())


def still_ours(handle: Handle, clone_id: int) -> bool:
    """Whether no other operation has taken the clone over since."""
    return db.session.scalar(select(Clone.operation_id).where(Clone.id == clone_id)) == handle.operation_id


def replica_directory(version: BaseVersion, node: Node) -> str:
    """The folder of the version's disks on the node, where its clones' disks are too. Raises Conflict without one."""
    query = select(Replica.directory).where(Replica.version_id == version.id, Replica.node_id == node.id)
    directory = db.session.scalar(query)
    if directory is None:
        raise Conflict(message("clones.replica_gone", node=node.name))
    return directory


# Of one clone's failures those that are no clone's: its node is away, or the operation is another's by now.
AWAY = (
    HypervisorUnreachable, NodeUnreachable, HostKeyChanged, KeyRefused, OwnFault, DeadlineExceeded,
    InvalidTarget, Superseded, Cancelled,
)  # fmt: skip


@dataclass
class Failures:
    """Those of a batch that cannot, each with its reason, while the others go on."""

    names: Mapping[int, str]
    of: dict[int, Message] = field(default_factory=dict)

    def __contains__(self, clone_id: int) -> bool:
        return clone_id in self.of

    @contextmanager
    def guard(self, clone_id: int) -> Iterator[None]:
        """Keep what goes wrong with this clone from the others; a node that is away is away for all."""
        with guarded(partial(self.of.__setitem__, clone_id), AWAY, clone=clone_id):
            yield

    def write(self, handle: Handle) -> None:
        """Mark them failed, and raise Conflict that names them with their reasons, where there are any."""
        for clone_id, why in self.of.items():
            set_state(handle, [clone_id], CloneState.FAILED, why)
        if self.of:
            alike = by_reason([(self.names[clone_id], why) for clone_id, why in self.of.items()])
            count = len(self.names)
            raise Conflict(sentences(message("clones.some_failed", failed=len(self.of), count=count), *alike))


def set_state(
    handle: Handle, clone_ids: Sequence[int], state: CloneState, reason: Message = NOTHING, display: str = ""
) -> None:
    """Write the clones' state; those that another operation has taken over since are left to it. Raises Superseded."""
    with handle.writing() as session:
        write_state(session, handle.operation_id, clone_ids, state, reason, display)


def write_state(
    session: Session,
    operation_id: int,
    clone_ids: Sequence[int],
    state: CloneState,
    reason: Message = NOTHING,
    display: str = "",
) -> None:
    """Write the state of those of these clones that are the operation's."""
    # A guest that has just been started takes memory that no figures of before can show.
    started: dict[str, Any] = {"started_round": ROUND_NOW} if state == CloneState.RUNNING else {}
    if state == CloneState.STOPPED:
        started = {"started_at": started_unless(Clone.state == CloneState.STARTING)}
    moved = update(Clone).where(Clone.id.in_(clone_ids), Clone.operation_id == operation_id)
    written = {"state": state, "reason": reason, "display": display}
    waits = Clone.out_of_space if state == CloneState.PAUSED else False
    session.execute(moved.values(changed_round=ROUND_NOW, out_of_space=waits, **written, **started))
