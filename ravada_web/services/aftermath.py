"""What an operation that will not be finished leaves to put right: the states of the rows it worked on."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from ravada_web.models import Base, BaseState, Clone, CloneState, Operation, Replica, ReplicaState

# Where a clone stands when the operation that moved it has failed; the next check corrects it by what it sees.
FALLBACK = {
    CloneState.REQUESTED: CloneState.FAILED,
    CloneState.CREATING: CloneState.FAILED,
    CloneState.STARTING: CloneState.STOPPED,
    CloneState.STOPPING: CloneState.RUNNING,
    CloneState.DELETING: CloneState.FAILED,
}


def settle(session: Session, operation: Operation, reason: str) -> None:
    """Move the operation's clones, replica or base out of the states that say work is under way, with the reason."""
    for state, fallback in FALLBACK.items():
        owned = update(Clone).where(Clone.operation_id == operation.id, Clone.state == state)
        session.execute(owned.values(state=fallback, reason=reason))
    if replica_id := operation.params.get("replica_id"):
        broken = update(Replica).where(Replica.id == replica_id, Replica.state != ReplicaState.READY)
        session.execute(broken.values(state=ReplicaState.FAILED, reason=reason))
    if operation.kind == "base_prepare":
        preparing = update(Base).where(Base.id == operation.base_id, Base.state == BaseState.PREPARING)
        session.execute(preparing.values(state=BaseState.FAILED, reason=reason))
