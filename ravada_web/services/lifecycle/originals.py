"""Bases whose original is on a node that goes."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.messages import Message
from ravada_web.models import Base, BaseVersion, Replica, ReplicaState
from ravada_web.services.audit import events


def copied_elsewhere(session: Session, base: Base) -> int | None:
    """The id of another node with a whole copy of the newest of its versions that has one; None where none has."""
    ready = (
        select(Replica.node_id)
        .join(BaseVersion)
        .where(BaseVersion.base_id == base.id, Replica.state == ReplicaState.READY, Replica.node_id != base.node_id)
        .order_by(BaseVersion.number.desc(), Replica.node_id)
    )
    return session.scalar(ready.limit(1))


def move(session: Session, node_id: int, why: Message) -> None:
    """A base whose original is there has it, from now on, where a whole copy of its newest version is."""
    for base in session.scalars(select(Base).where(Base.node_id == node_id)):
        if (elsewhere := copied_elsewhere(session, base)) is not None:
            base.node_id = elsewhere
            events.record(session, None, "edit", base, why)
    session.flush()
