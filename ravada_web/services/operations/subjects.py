"""What operations work on: freed when one ends early, put back to work when it is retried."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import Case, ColumnElement, case, null, select, update
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict
from ravada_web.messages import Message, message
from ravada_web.models import (
    AT_REST,
    ROUND_NOW,
    Base,
    BaseState,
    Cause,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    Replica,
    ReplicaState,
    now,
)


def started_unless(failed: ColumnElement[bool]) -> Case[Any]:
    """When a clone was started last, as it is written of clones whose start has, perhaps, `failed`: a volatile one that
    could not start has not ended, and is not thrown away."""
    return case((Clone.volatile & failed, null()), else_=Clone.started_at)


class Subject:
    """No rows: nothing to free, nothing to put back."""

    def release(self, session: Session, operation: Operation, reason: Message) -> None:
        """Move the rows out of the states that say work is under way, with the reason why it ended early."""

    def resume(self, session: Session, operation: Operation) -> None:
        """Put the rows back to work for a retry. Raises Conflict where they have moved on."""


@dataclass(frozen=True)
class Clones(Subject):
    """The clones that refer to the operation; `working` is the state that they have while it works on them."""

    # Where a clone stands when the operation that moved it has failed, if what it was before is not known; the next
    # check corrects it by what it sees.
    FALLBACK: ClassVar = {
        CloneState.REQUESTED: CloneState.FAILED,
        CloneState.CREATING: CloneState.FAILED,
        CloneState.STARTING: CloneState.STOPPED,
        CloneState.STOPPING: CloneState.RUNNING,
        CloneState.MOVING: CloneState.STOPPED,
        CloneState.DELETING: CloneState.FAILED,
    }
    working: CloneState

    def release(self, session: Session, operation: Operation, reason: Message) -> None:
        """Free the rows, with the reason why the work ended early."""
        self.free(session, Clone.operation_id == operation.id, reason)

    @classmethod
    def free(cls, session: Session, which: ColumnElement[bool], reason: Message) -> None:
        """Move those of these clones that are in work to where they stand without it."""
        for state, fallback in cls.FALLBACK.items():
            owned = update(Clone).where(which, Clone.state == state)
            known = state in (CloneState.STARTING, CloneState.STOPPING)
            again = case((Clone.state_before != "", Clone.state_before), else_=fallback) if known else fallback
            written = {"state": again, "reason": reason, "changed_round": ROUND_NOW}
            if state == CloneState.STARTING:
                written["started_at"] = started_unless(Clone.state_before != CloneState.PAUSED)
            session.execute(owned.values(**written))

    def resume(self, session: Session, operation: Operation) -> None:
        """Put the rows back to work for a retry. Raises Conflict where they have moved on."""
        clones = session.scalars(select(Clone).where(Clone.operation_id == operation.id)).all()
        if not clones:
            raise Conflict(message("operations.clones_moved_on", title=operation.title))
        for clone in clones:
            if state := self.resumed(clone):
                clone.state_before = clone.state if clone.state in AT_REST else ""
                clone.state, clone.reason = state, Message()

    def resumed(self, _clone: Clone) -> CloneState | None:
        """The state in which a retry takes the clone up again; None leaves it as it is."""
        return self.working


class CreatedClones(Clones):
    """Only those that failed are made again, and those started that the creation itself could not start; the others
    are left to their users."""

    def resumed(self, clone: Clone) -> CloneState | None:
        """The state in which a retry takes the clone up again; None leaves it as it is."""
        if clone.state == CloneState.STOPPED and clone.reason:
            return CloneState.STARTING
        return self.working if clone.state == CloneState.FAILED else None


class StartedClones(Clones):
    """Only those that are not running yet."""

    def resumed(self, clone: Clone) -> CloneState | None:
        """The state in which a retry takes the clone up again; None leaves it as it is."""
        return self.working if clone.state in (CloneState.STOPPED, CloneState.PAUSED) else None


class StoppedClones(Clones):
    """Only those that are not off yet."""

    def resumed(self, clone: Clone) -> CloneState | None:
        """The state in which a retry takes the clone up again; None leaves it as it is."""
        return self.working if clone.state in (CloneState.RUNNING, CloneState.PAUSED) else None


class RestartedClones(Clones):
    """Only what has not come back is restarted: users of the others are not interrupted again."""

    def resumed(self, clone: Clone) -> CloneState | None:
        """The state in which a retry takes the clone up again; None leaves it as it is."""
        return None if clone.state == CloneState.RUNNING and not clone.reason else self.working


class LostClones(Subject):
    """The clones of a dead node that wait, with this operation, to be made again elsewhere; they are as unreachable
    without it."""

    def release(self, session: Session, operation: Operation, reason: Message) -> None:
        """Free the rows, with the reason why the work ended early."""
        waiting = update(Clone).where(Clone.operation_id == operation.id, Clone.state == CloneState.UNREACHABLE)
        session.execute(waiting.values(reason=reason))


class MovedClone(Subject):
    """The clone that moves: it stands where its row says. What was brought elsewhere is removed there; a clone whose
    row has moved already lacks but its definition."""

    # So often, ten seconds apart, is it tried to have a guest go on where it was, on a node that is not down.
    MOST_LOOKS: ClassVar = 6

    def release(self, session: Session, operation: Operation, reason: Message) -> None:
        """Free the rows, with the reason why the work ended early."""
        mine = (Clone.operation_id == operation.id, Clone.state == CloneState.MOVING)
        if self._is_looked_at_again(session, operation) and session.scalar(select(Clone.id).where(*mine)) is not None:
            return
        target_id = operation.params["target_id"]
        # One that is to be off first may be shutting down still.
        at_work = Clone.state.in_((CloneState.MOVING, CloneState.STOPPING))
        moving = update(Clone).where(Clone.operation_id == operation.id, at_work)
        lacking = moving.where(Clone.node_id == target_id)
        gone = {"start_after": False, "changed_round": ROUND_NOW}
        session.execute(lacking.values(state=CloneState.FAILED, reason=reason, **gone))
        runs = Clone.moves_live | (Clone.state == CloneState.STOPPING)
        stays = case((runs, CloneState.RUNNING.value), else_=CloneState.STOPPED.value)
        session.execute(moving.values(state=stays, reason=Message(), **gone))
        brought = (Remains.node_id == target_id, Remains.uuid == operation.params["uuid"])
        session.execute(update(Remains).where(*brought, Remains.cause == Cause.ARRIVING).values(cause=Cause.MOVED))

    def _is_looked_at_again(self, session: Session, operation: Operation) -> bool:
        """Whether it is not known where the guest runs, or it has to be made go on where it is: then the move is taken
        up again, and looks. On a node that is down that is begun anew once it is back: its row is held, so that its
        return is not missed."""
        if not operation.result.get("begun"):
            return False
        times = operation.result.get("stays", 0)
        source = select(Node.observed).where(Node.id == operation.params["source_id"])
        down = times and session.scalar(source.with_for_update(read=True)) == Observed.DOWN
        return not down and times < self.MOST_LOOKS

    def resume(self, session: Session, operation: Operation) -> None:
        """Put the row back to work where it has moved already. Raises Conflict elsewhere: whether it may move is to be
        judged anew."""
        lacking = (Clone.state == CloneState.FAILED, Clone.node_id == operation.params["target_id"])
        clone = session.scalar(select(Clone).where(Clone.operation_id == operation.id, *lacking))
        if clone is None:
            raise Conflict(message("moves.ask_anew"))
        clone.state, clone.reason = CloneState.MOVING, Message()


class OneReplica(Subject):
    """The replica that the operation's parameters name, as long as no other operation has taken it over."""

    # It is tried again by itself, after longer and longer pauses.
    FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)

    def release(self, session: Session, operation: Operation, reason: Message) -> None:
        """Free the rows, with the reason why the work ended early."""
        replica = self._mine(session, operation)
        if replica is None or replica.state == ReplicaState.READY:
            return
        replica.state, replica.reason = ReplicaState.FAILED, reason
        if operation.cancel_asked and operation.kind == "replica_copy":
            replica.retry_at = None
        elif operation.state == OperationState.CANCELLED:
            # It was asked for again while it ended; so is what is there, where its removal was taken back.
            replica.retry_at = now()
        else:
            replica.failures += 1
            replica.retry_at = now() + min(self.FIRST_PAUSE * 2 ** min(replica.failures - 1, 10), self.LONGEST_PAUSE)

    def resume(self, session: Session, operation: Operation) -> None:
        """Put the rows back to work for a retry. Raises Conflict where they have moved on."""
        replica = self._mine(session, operation)
        if replica is None or replica.state != ReplicaState.FAILED:
            raise Conflict(message("operations.replica_gone", title=operation.title))
        removes = operation.kind == "replica_remove"
        replica.state = ReplicaState.REMOVING if removes else ReplicaState.WANTED

    def _mine(self, session: Session, operation: Operation) -> Replica | None:
        replica = session.get(Replica, operation.params["replica_id"])
        return replica if replica is not None and replica.operation_id in (None, operation.id) else None


class PreparedBase(Subject):
    """The base that is being prepared."""

    def release(self, session: Session, operation: Operation, reason: Message) -> None:
        """Free the rows, with the reason why the work ended early."""
        preparing = update(Base).where(Base.id == operation.base_id, Base.state == BaseState.PREPARING)
        session.execute(preparing.values(state=BaseState.FAILED, reason=reason))

    def resume(self, session: Session, operation: Operation) -> None:
        """Put the rows back to work for a retry. Raises Conflict where they have moved on."""
        session.get_one(Base, operation.base_id).state = BaseState.PREPARING


class Once(Subject):
    """A node's power: what a person asked for at one moment is not done at another."""

    def resume(self, _session: Session, _operation: Operation) -> None:
        """Raises Conflict: it is asked for anew, by who may."""
        raise Conflict(message("fencing.no_retry"))


NO_ROWS = Subject()
ONCE = Once()
# A node before it serves: one operation works on it at a time.
JOINING_NODE = Subject()
PREPARED_BASE = PreparedBase()
REPLICA = OneReplica()
CREATED_CLONES = CreatedClones(CloneState.CREATING)
LOST_CLONES = LostClones()
MOVED_CLONE = MovedClone()
DELETED_CLONES = Clones(CloneState.DELETING)
STARTED_CLONES = StartedClones(CloneState.STARTING)
STOPPED_CLONES = StoppedClones(CloneState.STOPPING)
RESTARTED_CLONES = RestartedClones(CloneState.STOPPING)
