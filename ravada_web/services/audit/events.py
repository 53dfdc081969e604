"""The audit log: append, and read back."""

from collections.abc import Collection, Sequence

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, as_message
from ravada_web.models import Base, Clone, Event, Group, Node, Operation, User
from ravada_web.services.audit import origin

Subject = Node | Base | Clone | Group | Operation | User
SYSTEM = "system"


def record(
    session: Session,
    actor: User | None,
    action: str,
    subject: Subject,
    text: Message | str = NOTHING,
    result: str = "done",
) -> None:
    """Append one line, in the transaction of the change that it records. `result`: done, refused or failed."""
    session.flush()
    session.add(
        Event(
            actor=actor.name if actor else SYSTEM,
            action=action,
            object_kind=type(subject).__name__.lower(),
            object_id=subject.id,
            object_name=getattr(subject, "name", ""),
            text=as_message(text),
            address=origin.address.get(),
            result=result,
        )
    )


def record_refused_sign_in(session: Session, user: User | None, name: str) -> None:
    """Record a refused sign-in by that name, which need not exist."""
    session.add(
        Event(
            actor=name,
            action="sign_in",
            object_kind="user",
            object_id=user.id if user else None,
            object_name=name,
            address=origin.address.get(),
            result="refused",
        )
    )


def record_users(session: Session, actor: User, lines: Collection[tuple[int, str, str]], text: Message | str) -> None:
    """Append a line for each of many users at once: (id, name, action)."""
    session.flush()
    common = {"actor": actor.name, "object_kind": "user", "text": as_message(text), "address": origin.address.get()}
    rows = [common | {"object_id": id_, "object_name": name, "action": action} for id_, name, action in lines]
    if rows:
        session.execute(insert(Event), rows)


def recent(object_kind: str, object_id: int, limit: int = 20) -> Sequence[Event]:
    """The newest lines about one object, newest first."""
    query = select(Event).where(Event.object_kind == object_kind, Event.object_id == object_id)
    return db.session.scalars(query.order_by(Event.id.desc()).limit(limit)).all()
