"""The rows that an operation works on: freed when it ends early, put back to work when it is retried."""

from flask_babel import gettext as _
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict
from ravada_web.models import (
    Base,
    BaseState,
    Clone,
    CloneState,
    Operation,
    Replica,
    ReplicaState,
)

_RESUMED = {
    "clones_create": CloneState.CREATING,
    "clones_delete": CloneState.DELETING,
    "clones_start": CloneState.STARTING,
    "clones_stop": CloneState.STOPPING,
    "clones_restart": CloneState.STOPPING,
}


def resume(session: Session, row: Operation) -> None:
    """Put what a failed operation worked on back into its working state."""
    if state := _RESUMED.get(row.kind):
        clones = session.scalars(select(Clone).where(Clone.operation_id == row.id)).all()
        if not clones:
            raise Conflict(_("The clones of “%(title)s” have moved on; ask for it anew there.", title=row.title))
        for clone in clones:
            if row.kind == "clones_restart":
                _resume_restart(clone)
            elif row.kind != "clones_create" or clone.state == CloneState.FAILED:
                clone.state, clone.reason = state, ""
    if (replica_id := row.params.get("replica_id")) and session.get(Replica, replica_id) is None:
        raise Conflict(_("The replica of “%(title)s” is gone; tick the node again.", title=row.title))
    if row.kind == "base_prepare":
        session.get_one(Base, row.base_id).state = BaseState.PREPARING


def _resume_restart(clone: Clone) -> None:
    """Only what has not come back is restarted: whoever works in one that has is not interrupted again."""
    if clone.state == CloneState.RUNNING and clone.reason:
        clone.state, clone.reason = CloneState.STOPPING, ""
    elif clone.state == CloneState.STOPPED:
        clone.state, clone.reason = CloneState.STARTING, ""


# Where a clone stands when the operation that moved it has failed; the next check corrects it by what it sees.
FALLBACK = {
    CloneState.REQUESTED: CloneState.FAILED,
    CloneState.CREATING: CloneState.FAILED,
    CloneState.STARTING: CloneState.STOPPED,
    CloneState.STOPPING: CloneState.RUNNING,
    CloneState.DELETING: CloneState.FAILED,
}


def release(session: Session, operation: Operation, reason: str) -> None:
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
