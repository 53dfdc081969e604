"""Consoles that are open: which must close, and why."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, select, update
from sqlalchemy.orm import joinedload

from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import Message, message
from ravada_web.models import Base, Clone, CloneState, Console, User, now
from ravada_web.services.audit import events
from ravada_web.services.consoles.causes import Cause
from ravada_web.services.consoles.tickets import COMING, SHOWN
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction


def ended(console_id: int, cause: Cause) -> None:
    """Record that a console has closed, once."""
    with transaction() as session:
        row = session.get(Console, console_id, options=[joinedload(Console.clone), joinedload(Console.user)])
        if row is not None and row.closed_at is None:
            row.closed_at, row.closed_as = now(), cause
            events.record(session, row.user, "close_console", row.clone, message(f"consoles.end_{cause}"))


def close_left_open(gateway: str) -> None:
    """Close the rows of consoles that a former process of this gateway left open when it was killed."""
    with transaction() as session:
        left = update(Console).where(Console.gateway == gateway, Console.closed_at.is_(None))
        session.execute(left.values(closed_at=now(), closed_as=Cause.SHUTDOWN))


# What is checked of all open consoles every second: columns alone, as rows of their own would cost ten times as much.
_OPEN = (
    select(
        Console.id,
        Console.sign_in_id,
        Console.user_id,
        Console.view_only,
        Console.closed_at,
        Console.closed_as,
        Console.clone_id,
        Clone.owner_id,
        Clone.state_in_use.label("state"),
        Clone.start_after,
        and_(Clone.viewers_refused, Base.users_may_refuse).label("refused"),
        and_(Clone.volatile, Base.remakes).label("remade"),
    )
    .join(Clone, Clone.id == Console.clone_id)
    .join(Base, Base.id == Clone.base_id)
)
OpenRow = Any


def to_close(console_ids: Collection[int]) -> Mapping[int, Cause]:
    """Which of these open consoles must close now, and why: the right is lost, the session ended, the clone off."""
    rows = db.session.execute(_OPEN.where(Console.id.in_(console_ids))).all()
    held = {valid.id: valid.user for valid in sessions.still_valid({row.sign_in_id for row in rows if row.sign_in_id})}
    seen = _allowed_onlookers([row for row in rows if row.view_only], held)
    causes: dict[int, Cause | None] = {}
    for row in rows:
        causes[row.id] = Cause.BROKEN  # one that cannot be judged must not stay open
        with guarded(_broken, console=row.id):
            causes[row.id] = _cause(row, held, seen)
    # A row that is gone went with its clone, or its user.
    deleted = dict.fromkeys(set(console_ids) - set(causes), Cause.STOPPED)
    return deleted | {console_id: cause for console_id, cause in causes.items() if cause is not None}


def _allowed_onlookers(rows: Sequence[OpenRow], held: Mapping[int, User]) -> set[tuple[int, int]]:
    """Which onlookers may view which clone: one query for each person."""
    allowed: set[tuple[int, int]] = set()
    for user in {user.id: user for user in held.values() if rights.can(user, "consoles.look_on")}.values():
        clone_ids = {row.clone_id for row in rows if row.user_id == user.id}
        if clone_ids:
            query = select(Clone.id).where(Clone.id.in_(clone_ids), scopes.clones(user, "clones.see_all"))
            allowed.update((user.id, clone_id) for clone_id in db.session.scalars(query))
    return allowed


def _broken(_reason: Message) -> None:
    """Its browser says that the console broke, and may open it again."""


def _cause(row: OpenRow, held: Collection[int], seen: Collection[tuple[int, int]]) -> Cause | None:
    if row.closed_at is not None:
        return Cause(row.closed_as)
    if row.sign_in_id not in held:
        return Cause.SIGN_IN
    if row.view_only == (row.owner_id == row.user_id):
        return Cause.REFUSED
    if row.view_only and (row.refused or (row.user_id, row.clone_id) not in seen):
        return Cause.REFUSED
    coming = row.state in COMING or (row.state == CloneState.STOPPED and row.start_after)
    if row.state not in SHOWN and not coming:
        if row.state != CloneState.UNREACHABLE:
            return Cause.STOPPED
        return Cause.MADE_AGAIN if row.remade else Cause.UNREACHABLE
    return None
