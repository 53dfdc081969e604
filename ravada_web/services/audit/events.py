"""The audit log: append, and read back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, as_message
from ravada_web.models import Base, Clone, Cluster, Event, Group, Node, Operation, User, now
from ravada_web.services.audit import origin
from ravada_web.services.permissions import scopes

Subject = Node | Base | Clone | Cluster | Group | Operation | User
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
            object_kind=_kind(subject),
            object_id=subject.id,
            object_name=getattr(subject, "name", ""),
            text=as_message(text),
            address=origin.address.get(),
            result=result,
        )
    )


def record_once_an_hour(session: Session, actor: User, action: str, subject: Subject) -> None:
    """Append one line, unless the actor did the same within the last hour: of what a page does at each refresh."""
    same = (Event.object_kind == _kind(subject), Event.object_id == subject.id, Event.actor == actor.name)
    query = select(Event.id).where(*same, Event.action == action, Event.at > now() - timedelta(hours=1))
    if session.scalar(query.limit(1)) is None:
        record(session, actor, action, subject)


def _kind(subject: Subject) -> str:
    return type(subject).__name__.lower()


def record_refused_attempt(session: Session, user: User | None, name: str, action: str) -> None:
    """Record a refused attempt ("sign_in", "confirm") by that name, which need not exist."""
    session.add(
        Event(
            actor=name,
            action=action,
            object_kind="user",
            object_id=user.id if user else None,
            object_name=name,
            address=origin.address.get(),
            result="refused",
        )
    )


def record_users(session: Session, actor: User, lines: Collection[tuple[int, str, str]], text: Message | str) -> None:
    """Append a line for each of many users at once: (id, name, action)."""
    common = {"actor": actor.name, "object_kind": "user", "text": as_message(text), "address": origin.address.get()}
    session.add_all(Event(**common, object_id=id_, object_name=name, action=action) for id_, name, action in lines)


@dataclass(frozen=True)
class Line:
    """A line of the log as the page of its object shows it. `actor` is "" for somebody the viewer may not know of."""

    at: datetime
    actor: str
    action: str
    text: Message
    result: str


def recent(viewer: User, object_kind: str, object_id: int, limit: int = 20) -> Sequence[Line]:
    """The newest lines about one object, newest first; in a scope without the names of what is outside of it."""
    query = select(Event).where(Event.object_kind == object_kind, Event.object_id == object_id)
    rows = db.session.scalars(query.order_by(Event.id.desc()).limit(limit)).all()
    if scopes.of(viewer) is None:
        return [Line(row.at, row.actor, row.action, row.text, row.result) for row in rows]
    actors = {row.actor for row in rows}
    known = {SYSTEM, *db.session.scalars(select(User.name).where(User.name.in_(actors), scopes.people(viewer)))}
    return [
        Line(
            row.at,
            row.actor if row.actor in known else "",
            row.action,
            row.text if _plain(row) else NOTHING,
            row.result,
        )
        for row in rows
    ]


def _plain(row: Event) -> bool:
    """Whether the text of a line names nothing but its object: others may name nodes, groups and people."""
    return row.object_kind in ("clone", "operation") or row.action == "observed"
