"""Clones, their network cards, and the decisions that placed them."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ColumnElement, ForeignKey, String, and_, case, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.clock import now
from ravada_web.extensions import db
from ravada_web.models.base import Base, BaseDisk, BaseVersion, FileKind
from ravada_web.models.node import Node
from ravada_web.models.types import Id, Moment, Name, Sentence, Size, Word, Words
from ravada_web.models.user import User


class CloneState(StrEnum):
    """DESIGN: requested → creating → stopped ⇄ starting/stopping ⇄ running, failed, unreachable, moving, deleting."""

    REQUESTED = "requested"
    CREATING = "creating"
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    MOVING = "moving"
    DELETING = "deleting"


# States in which a clone takes, or is about to take, its node's memory.
USING_MEMORY = (CloneState.STARTING, CloneState.RUNNING, CloneState.PAUSED, CloneState.STOPPING)
# States in which a clone rests, as a check sees it.
AT_REST = (CloneState.STOPPED, CloneState.RUNNING, CloneState.PAUSED, CloneState.UNREACHABLE)
# States that an operation owns: a check's observation does not overwrite them.
IN_WORK = (
    CloneState.REQUESTED,
    CloneState.CREATING,
    CloneState.STARTING,
    CloneState.STOPPING,
    CloneState.MOVING,
    CloneState.DELETING,
)


# What one says of itself whose node is dead while it is being made again on another one.
BEING_REMADE = ("clones.being_made_again", "clones.waits_for_room")


class Roster(db.Model):
    """The nodes that decisions were about, with their names then, as pairs of id and name: one row for all decisions
    between two changes of the nodes. `digest` is the hash of `nodes`, by which it is found."""

    __tablename__ = "rosters"
    id: Mapped[Id]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    nodes: Mapped[list[tuple[int, str]]] = mapped_column(JSON)
    made_at: Mapped[Moment] = mapped_column(default=now)


class Decision(db.Model):
    """One placement: what was asked, and a verdict for every node of the roster (`verdicts`, as placement.grouping
    keeps them)."""

    __tablename__ = "decisions"
    id: Mapped[Id]
    base_id: Mapped[int | None] = mapped_column(ForeignKey("bases.id", ondelete="SET NULL"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    roster_id: Mapped[int] = mapped_column(ForeignKey("rosters.id"), index=True)
    count: Mapped[int]
    verdicts: Mapped[dict[str, Any]] = mapped_column(JSON)
    # Why it was made, where nobody asked for it: a node died.
    why: Mapped[Words]
    made_at: Mapped[Moment] = mapped_column(default=now, index=True)

    roster: Mapped[Roster] = relationship()


def _padded(context: Any) -> str:
    """The name that is being inserted, the number at its end padded."""
    name: str = context.get_current_parameters()["name"]
    stem, dash, number = name.rpartition("-")
    return f"{stem}{dash}{int(number):08d}" if number.isdecimal() else name


class Clone(db.Model):
    """A thin virtual machine made from a base's version on one node: the row is the reservation there."""

    __tablename__ = "clones"
    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    # The name with its number padded, so that desk-2 is listed before desk-10.
    sort_name: Mapped[str] = mapped_column(String(80), index=True, default=_padded)
    uuid: Mapped[str] = mapped_column(String(36), unique=True)
    base_id: Mapped[int] = mapped_column(ForeignKey("bases.id"), index=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("base_versions.id"), index=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"), index=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"), index=True)
    volatile: Mapped[bool] = mapped_column(default=False)
    memory_mib: Mapped[Size]
    state: Mapped[Word] = mapped_column(default=CloneState.REQUESTED, index=True)
    # What it was before it was to be started or shut down, and is again where that does not happen, or before its node
    # died; "" if not known.
    state_before: Mapped[Word] = mapped_column(default="")
    reason: Mapped[Words]
    start_after: Mapped[bool] = mapped_column(default=False)
    # Its disks are gone: another host took its node's place. No check of that one says anything of it.
    lost: Mapped[bool] = mapped_column(default=False)
    operation_id: Mapped[int | None] = mapped_column(ForeignKey("operations.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[Moment] = mapped_column(default=now)
    # When its start was last asked for.
    started_at: Mapped[Moment | None]
    # The round of its node's checks that had begun last when it was made, when it was last started, and when an
    # operation last moved it. Until figures of a later one are there, its disk and memory are charged on top of them;
    # what an earlier one saw of it is outdated.
    made_round: Mapped[int] = mapped_column(default=0)
    started_round: Mapped[int | None]
    changed_round: Mapped[int] = mapped_column(default=0)
    # The socket of its display on its node, known while it runs.
    display: Mapped[Sentence]
    # Its guest is paused since a disk of it could not be written: it resumes once there is space.
    out_of_space: Mapped[bool] = mapped_column(default=False)
    # How it is run ("kvm" or "qemu"), its machine type and its processor's model, as it was made: ravada_web.platforms.
    # "" for one made before these were kept.
    virt_type: Mapped[Word] = mapped_column(default="")
    machine: Mapped[Name] = mapped_column(default="")
    processor: Mapped[Name] = mapped_column(default="")
    # Its user blocks onlookers; only where its base lets users refuse.
    viewers_refused: Mapped[bool] = mapped_column(default=False)

    base: Mapped[Base] = relationship()
    version: Mapped[BaseVersion] = relationship()
    node: Mapped[Node] = relationship()
    owner: Mapped[User] = relationship()
    decision: Mapped[Decision | None] = relationship()
    nics: Mapped[list["CloneNic"]] = relationship(
        cascade="all, delete-orphan", order_by="CloneNic.position", lazy="selectin"
    )

    @hybrid_property
    def moves_live(self) -> bool:
        """Whether it goes on running while it is moved to another node. In queries, too."""
        return self.state == CloneState.MOVING and self.state_before == CloneState.RUNNING

    @moves_live.inplace.expression
    @classmethod
    def _moves_live_now(cls) -> ColumnElement[bool]:
        return and_(cls.state == CloneState.MOVING, cls.state_before == CloneState.RUNNING)

    @hybrid_property
    def state_in_use(self) -> str:
        """What it is to whoever uses it: its state, but one that moves while it runs is running. In queries, too."""
        return CloneState.RUNNING if self.moves_live else self.state

    @state_in_use.inplace.expression
    @classmethod
    def _state_in_use_now(cls) -> ColumnElement[str]:
        return case((cls.moves_live, CloneState.RUNNING.value), else_=cls.state)

    @property
    def blocks_onlookers(self) -> bool:
        """Whether its user has blocked screen viewing, and its base lets users do so."""
        return self.viewers_refused and self.base.users_may_refuse

    @property
    def is_remade(self) -> bool:
        """Whether it is made again on another node when its own dies."""
        return self.volatile and self.base.remakes

    @property
    def comes_again(self) -> bool:
        """Whether its node is dead and it is being made again on another one."""
        return self.state == CloneState.UNREACHABLE and self.reason.kind in BEING_REMADE

    def disk_file(self, target: str) -> str:
        """The file name of its overlay; the UUID keeps it from ever meeting an older clone's of the same name."""
        return f"{self.name}.{self.uuid[:8]}.{target}.qcow2"

    def own_file(self, file: BaseDisk) -> str:
        """The name of what it has of one of its version's files: an overlay of a disk, or a copy of the NVRAM."""
        if file.kind == FileKind.NVRAM:
            return f"{self.name}.{self.uuid[:8]}.nvram.fd"
        return self.disk_file(file.target)


# The round of its node's checks that a clone's row is written in, for UPDATE.
ROUND_NOW = select(Node.rounds_begun).where(Node.id == Clone.node_id).correlate(Clone).scalar_subquery()


class CloneNic(db.Model):
    """One network card of a clone; its MAC address is unique in the whole cluster."""

    __tablename__ = "clone_nics"
    clone_id: Mapped[int] = mapped_column(ForeignKey("clones.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    mac: Mapped[str] = mapped_column(String(17), unique=True)


class CloneCopy(db.Model):
    """A copy of a persistent clone's disks on another node than its own, as old as `made_at`. Its own ones stay the
    only ones that it is started from, until somebody who knows its node to be off decides otherwise."""

    __tablename__ = "clone_copies"
    id: Mapped[Id]
    clone_id: Mapped[int] = mapped_column(ForeignKey("clones.id", ondelete="CASCADE"), index=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    made_at: Mapped[Moment] = mapped_column(default=now)

    node: Mapped[Node] = relationship()
