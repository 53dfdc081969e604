"""Plans of moves: what is to become of many clones, decided together and done little by little."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.clock import now
from ravada_web.extensions import db
from ravada_web.models.clone import Clone
from ravada_web.models.node import Node
from ravada_web.models.operation import Operation
from ravada_web.models.types import Id, Moment, Name, Sentence, Word, Words
from ravada_web.models.user import User


class PlanKind(StrEnum):
    """What a plan is for: nodes are emptied, what was moved away comes home, or the load is spread anew."""

    DRAIN = "drain"
    BRING_BACK = "bring_back"
    REBALANCE = "rebalance"


class PlanState(StrEnum):
    """How far a plan is: only `proposed`, being done, or being cancelled; done, stopped with something left, or
    cancelled."""

    PROPOSED = "proposed"
    OPEN = "open"
    CANCELLING = "cancelling"
    DONE = "done"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


# States in which the ticker looks at a plan.
AT_WORK = (PlanState.OPEN, PlanState.CANCELLING)


class MoveWay(StrEnum):
    """What becomes of one clone: it moves while it runs, or while it is off; it is shut down first (volatile ones are
    then gone); it is thrown away; it waits, for its user or for other work on it; or it stays."""

    LIVE = "live"
    COLD = "cold"
    SHUT_DOWN = "shut_down"
    THROW_AWAY = "throw_away"
    WAIT = "wait"
    STAYS = "stays"


class MoveState(StrEnum):
    """How far that is; `gone`: the clone was deleted meanwhile, or somebody else moved it."""

    WAITING = "waiting"
    UNDER_WAY = "under_way"
    DONE = "done"
    GONE = "gone"
    STAYS = "stays"
    CANCELLED = "cancelled"


# States of a planned move that is not over.
UNSETTLED = (MoveState.WAITING, MoveState.UNDER_WAY)


class MovePlan(db.Model):
    """One plan. `choices` are what its person chose; `deadline` is until when users may stay (None: nobody is waited
    for). `digest` is of what a proposed plan rests on, `picture` what its pages show beside its moves. `changed_at` is
    when the last thing happened; `failures` counts looks in a row that went wrong. `returns`: once cancelled, what has
    moved goes back."""

    __tablename__ = "move_plans"
    id: Mapped[Id]
    kind: Mapped[Word]
    state: Mapped[Word] = mapped_column(index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    user_name: Mapped[str] = mapped_column(String(255), default="")
    why: Mapped[Sentence]
    choices: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    deadline: Mapped[Moment | None]
    digest: Mapped[str] = mapped_column(String(64), default="")
    picture: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    note: Mapped[Words]
    failures: Mapped[int] = mapped_column(default=0)
    returns: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Moment] = mapped_column(default=now)
    begun_at: Mapped[Moment | None]
    changed_at: Mapped[Moment] = mapped_column(default=now)
    ended_at: Mapped[Moment | None] = mapped_column(index=True)

    user: Mapped[User | None] = relationship()
    nodes: Mapped[list["MovePlanNode"]] = relationship(cascade="all, delete-orphan", order_by="MovePlanNode.node_id")


class MovePlanNode(db.Model):
    """A node that the plan is about, and the service state that it had `before`."""

    __tablename__ = "move_plan_nodes"
    plan_id: Mapped[int] = mapped_column(ForeignKey("move_plans.id", ondelete="CASCADE"), primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, index=True)
    before: Mapped[Word] = mapped_column(default="")

    node: Mapped[Node] = relationship()


class PlannedMove(db.Model):
    """What is to become of one clone of a plan. `starts`: it ran, and is started again at its new place. `refused` are
    the ids of nodes to which it could not move; `tries` counts what has failed; `ignored`: it was
    asked to shut down, and was not off in time. `gain` is what a rebalance wins by it.
    `brings`: it waits for its base's disks to be brought to the node that it is to move to."""

    __tablename__ = "planned_moves"
    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(ForeignKey("move_plans.id", ondelete="CASCADE"), index=True)
    clone_id: Mapped[int | None] = mapped_column(ForeignKey("clones.id", ondelete="SET NULL"), index=True)
    clone_name: Mapped[Name]
    from_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id", ondelete="SET NULL"), index=True)
    to_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id", ondelete="SET NULL"), index=True)
    way: Mapped[Word]
    state: Mapped[Word] = mapped_column(default=MoveState.WAITING, index=True)
    reason: Mapped[Words]
    starts: Mapped[bool] = mapped_column(default=False)
    brings: Mapped[bool] = mapped_column(default=False)
    refused: Mapped[list[int]] = mapped_column(JSON, default=list)
    tries: Mapped[int] = mapped_column(default=0)
    ignored: Mapped[bool] = mapped_column(default=False)
    gain: Mapped[float] = mapped_column(default=0.0)
    operation_id: Mapped[int | None] = mapped_column(ForeignKey("operations.id", ondelete="SET NULL"), index=True)
    ended_at: Mapped[Moment | None]

    plan: Mapped[MovePlan] = relationship()
    clone: Mapped[Clone | None] = relationship()
    operation: Mapped[Operation | None] = relationship()
    origin: Mapped[Node | None] = relationship(foreign_keys=[from_id])
    target: Mapped[Node | None] = relationship(foreign_keys=[to_id])
