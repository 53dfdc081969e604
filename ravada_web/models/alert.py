"""Alerts: what is wrong now with a node, a pool or the cluster, and what the administrators were notified of."""

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ravada_web.extensions import db
from ravada_web.models.node import Node, Pool
from ravada_web.models.types import Id, Moment, Word, Words


class Alert(db.Model):
    """The trouble of one node (`pool_id` None), of one of its pools, or of the cluster (`node_id` None), kept after its
    end for those who were notified.

    `state` is what it is in now ("" once all is well), since `since`.
    """

    __tablename__ = "alerts"
    id: Mapped[Id]
    node_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    pool_id: Mapped[int | None] = mapped_column(ForeignKey("pools.id", ondelete="CASCADE"), unique=True)
    state: Mapped[Word] = mapped_column(default="", index=True)
    text: Mapped[Words]
    since: Mapped[Moment]
    # How often it changed in all; and by channel the state that was last sent, and that count then.
    changes: Mapped[int] = mapped_column(default=0)
    told: Mapped[dict[str, tuple[str, int]]] = mapped_column(JSON, default=dict)
    # Some channel may not know the state yet.
    untold: Mapped[bool] = mapped_column(default=True, index=True)
    node: Mapped[Node | None] = relationship()
    pool: Mapped[Pool | None] = relationship()
