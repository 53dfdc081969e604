"""Nodes: where each is, and its service state; the rest by subject in other files."""

from enum import StrEnum

from sqlalchemy import ColumnElement, String, Text, UniqueConstraint, and_
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.clock import now
from ravada_web.extensions import db
from ravada_web.models.node.away import Absence
from ravada_web.models.node.figures import Figures
from ravada_web.models.node.health import Health, Observed, Trust
from ravada_web.models.node.joining import Joining
from ravada_web.models.node.maintenance import Maintenance
from ravada_web.models.node.pool import Pool
from ravada_web.models.node.resting import Resting, RestStep
from ravada_web.models.node.settings import NodeSettings
from ravada_web.models.types import Id, Moment, Name, Word


class ServiceState(StrEnum):
    """A node's service state, as its administrator set it."""

    NEW = "new"
    ENABLED = "enabled"
    DRAINING = "draining"
    MAINTENANCE = "maintenance"
    DISABLED = "disabled"
    # It will not come back. Its row is kept for its host key and machine id, by which it is known if it ever does.
    GIVEN_UP = "given_up"


class Node(Health, Absence, Joining, Maintenance, NodeSettings, Resting, Figures, db.Model):
    """A host that runs virtual machines."""

    __tablename__ = "nodes"
    __table_args__ = (UniqueConstraint("address", "port"),)
    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    address: Mapped[str] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(default=22)
    user: Mapped[Name] = mapped_column(default="root")
    local: Mapped[bool] = mapped_column(default=False)
    is_master: Mapped[bool] = mapped_column(default=False)
    runs_clones: Mapped[bool] = mapped_column(default=True)
    host_key: Mapped[str] = mapped_column(Text, default="")
    # As its libvirt says: it may be new after each start, or the same on two boards. The host key tells nodes apart.
    host_uuid: Mapped[str | None] = mapped_column(String(36))
    service_state: Mapped[Word] = mapped_column("wanted", default=ServiceState.ENABLED)
    created_at: Mapped[Moment] = mapped_column(default=now)

    pools: Mapped[list[Pool]] = relationship(
        back_populates="node", cascade="all, delete-orphan", order_by=Pool.name, lazy="selectin"
    )

    @property
    def is_given_up(self) -> bool:
        """Whether an administrator has said that it will not come back."""
        return self.service_state == ServiceState.GIVEN_UP

    @property
    def rests(self) -> bool:
        """Whether the schedule has its host off, or on its way there or back, and nobody has decided otherwise since:
        maintenance that a person began has that person's name."""
        of_host = self.rest_step in (RestStep.GOING_OFF, RestStep.RESTING, RestStep.WAKING)
        return of_host and self.service_state == ServiceState.MAINTENANCE and not self.maintenance_by

    @property
    def leaves_to_rest(self) -> bool:
        """Whether the schedule has it emptied."""
        return self.rest_step == RestStep.EMPTYING and self.service_state == ServiceState.DRAINING

    @hybrid_property
    def is_reachable(self) -> bool:
        """Whether work can be sent there now: seen up, with its pinned key, and not given up. In queries, too."""
        return self.observed == Observed.UP and self.trust == Trust.PINNED and not self.is_given_up

    @is_reachable.inplace.expression
    @classmethod
    def _reachable_now(cls) -> ColumnElement[bool]:
        return and_(cls.observed == Observed.UP, cls.trust == Trust.PINNED, cls.service_state != ServiceState.GIVEN_UP)
