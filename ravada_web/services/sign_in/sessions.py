"""Sessions: one row a browser, found by the token in its cookie; they expire, and can be listed and ended."""

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from ravada_web.clock import holds, holds_no_more, is_recent
from ravada_web.config import settings
from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import User, UserSession, now
from ravada_web.services.audit import events
from ravada_web.services.permissions import rights
from ravada_web.services.sign_in import failures
from ravada_web.services.transaction import note, transaction

# How exactly it is known when a session was last used: a page is not to write at every request.
SEEN_EVERY = timedelta(minutes=1)


def digest(token: str) -> str:
    """What is kept of a token. It is 256 random bits, so a plain hash keeps it as well as a slow one."""
    return hashlib.sha256(token.encode()).hexdigest()


def begin(user: User, address: str, agent: str) -> str:
    """Sign the user in from one browser; returns the token for its cookie."""
    token = secrets.token_urlsafe(32)
    with transaction() as session:
        user.signed_in_at = now()
        failures.forget_slips(user)
        session.execute(delete(UserSession).where(UserSession.user_id == user.id, expired()))
        _make_room(session, user)
        session.add(UserSession(user_id=user.id, token_hash=digest(token), address=address[:64], agent=agent[:255]))
        events.record(session, user, "sign_in", user)
    return token


def _make_room(session: Session, user: User) -> None:
    """End the sessions that were not used for longest, where one more would be one too many."""
    kept = settings().sessions_per_user - 1
    query = select(UserSession.id).where(UserSession.user_id == user.id)
    ids = session.scalars(query.order_by(UserSession.seen_at.desc(), UserSession.id.desc()).offset(kept)).all()
    if ids:
        session.execute(delete(UserSession).where(UserSession.id.in_(ids)))
        events.record(session, user, "end_sign_ins", user, message("sign_in.oldest_ended", count=len(ids)))


def expired() -> ColumnElement[bool]:
    """The sessions that have ended by their age, or for want of use."""
    return holds_no_more(UserSession.seen_at, idle()) | holds_no_more(UserSession.created_at, longest())


def idle() -> timedelta:
    """A session that was not used for so long has ended."""
    return timedelta(hours=settings().session_idle_hours)


def longest() -> timedelta:
    """However much it is used, a session ends after so long."""
    return timedelta(days=settings().session_days)


def valid(row: UserSession) -> bool:
    """Whether the session is valid: neither expired nor its user deactivated."""
    return row.user.active and holds(row.seen_at, idle()) and holds(row.created_at, longest())


def find(token: str) -> UserSession | None:
    """The session of a cookie's token, if it is valid."""
    row = db.session.scalar(select(UserSession).where(UserSession.token_hash == digest(token)))
    return row if row is not None and valid(row) else None


def still_valid(session_ids: Collection[int]) -> list[UserSession]:
    """Those of these sessions that are valid."""
    rows = db.session.scalars(select(UserSession).where(UserSession.id.in_(session_ids)))
    return [row for row in rows if valid(row)]


def use(row: UserSession) -> None:
    """Record its use, to the minute, if the database can take it now."""
    if not is_recent(row.seen_at, SEEN_EVERY):
        note(lambda _session: setattr(row, "seen_at", now()))


def listing(user: User) -> Sequence[UserSession]:
    """The user's valid sessions, the last used first."""
    query = select(UserSession).where(UserSession.user_id == user.id, ~expired()).order_by(UserSession.seen_at.desc())
    return db.session.scalars(query).all()


def end(actor: User, session_id: int) -> None:
    """End one session: one's own, or anybody's with the right to change users. Raises NotFound."""
    with transaction() as session:
        row = session.get(UserSession, session_id)
        if row is None or not (row.user_id == actor.id or rights.can(actor, "users.change")):
            raise NotFound(message("sign_in.no_session"))
        events.record(session, actor, "end_sign_in", row.user, row.agent)
        session.delete(row)


def end_all(actor: User | None, user: User, keep: int | None = None) -> int:
    """End all of a user's sessions but the one to keep; returns how many. `actor` is None on the command line."""
    if actor is not None and actor.id != user.id:
        rights.require(actor, "users.change")
    with transaction() as session:
        rows = session.scalars(
            select(UserSession).where(UserSession.user_id == user.id, UserSession.id != (keep or 0))
        ).all()
        for row in rows:
            session.delete(row)
        if rows:
            events.record(session, actor, "end_sign_ins", user, message("sign_in.sessions_ended", count=len(rows)))
        return len(rows)
