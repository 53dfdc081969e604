"""Consoles: tickets that open one, rights checked again on use, and what is open now. A ticket is for one user, one
session, one clone on one node; once, and within a minute. Its owner alone works in a clone; operators look on, and its
user sees that they do.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, CursorResult, delete, or_, select, update
from sqlalchemy.orm import Session

from ravada_web.clock import SLACK
from ravada_web.config import settings
from ravada_web.errors import RavadaError
from ravada_web.models import Clone, CloneState, Console, Ticket, User, UserSession, now
from ravada_web.services.audit import events, origin
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones.hastening import hasten
from ravada_web.services.consoles.causes import Cause, away, closed
from ravada_web.services.consoles.rights import is_onlooker, require_view
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction

TICKET_SECONDS = 60
SHOWN = (CloneState.RUNNING, CloneState.PAUSED, CloneState.STOPPING)
# On its way to a screen: a console that opens now waits for it.
COMING = (CloneState.REQUESTED, CloneState.CREATING, CloneState.STARTING)


class ConsoleRefused(RavadaError):
    """The console does not open; `cause` says why."""

    status = 409

    def __init__(self, cause: Cause) -> None:
        super().__init__(closed(cause))
        self.cause = cause


@dataclass(frozen=True)
class Grant:
    """A console that may be opened: its row, its clone and node, and the others that it takes over from."""

    console_id: int
    clone_id: int
    node_id: int
    clone_uuid: str
    view_only: bool
    takes_over: tuple[int, ...]


def issue(viewer: User, session_id: int, clone_id: int) -> str:
    """A ticket for the clone's console, to be used from this session within a minute. A clone that was to start in bulk
    does so now: its user sits before the screen.

    Raises NotFound, NotAllowed, and ConsoleRefused where there is no screen to show now.
    """
    with transaction() as session:
        clone = clone_list.get(viewer, clone_id)
        require_view(viewer, clone)
        _require_screen(clone)
        if not is_onlooker(viewer, clone):
            hasten(session, viewer, clone)
        token = secrets.token_urlsafe(32)
        session.execute(delete(Ticket).where(~_holds()))
        session.add(
            Ticket(
                token_hash=sessions.digest(token),
                user_id=viewer.id,
                sign_in_id=session_id,
                clone_id=clone.id,
                node_id=clone.node_id,
                view_only=is_onlooker(viewer, clone),
                expires_at=now() + timedelta(seconds=TICKET_SECONDS),
            )
        )
    return token


def _require_screen(clone: Clone) -> None:
    if clone.state == CloneState.UNREACHABLE or not clone.node.is_reachable:
        raise ConsoleRefused(away(clone))
    if clone.state_in_use not in SHOWN and not comes(clone):
        raise ConsoleRefused(Cause.NOT_RUNNING)


def comes(clone: Clone) -> bool:
    """Whether the clone is on its way to running."""
    return clone.state in COMING or (clone.state == CloneState.STOPPED and clone.start_after)


def redeem(ticket: str, sign_in: str, gateway: str) -> Grant:
    """Use a ticket up, and open a console's row; both secrets are as the browser sent them.

    The right, the clone's node and state, and the caps are checked again here. Raises ConsoleRefused.
    """
    if sessions.find(sign_in) is None:  # before the database's write lock: nobody keeps it from others
        raise ConsoleRefused(Cause.SIGN_IN)
    with transaction() as session:
        browser = sessions.find(sign_in)
        if browser is None:
            raise ConsoleRefused(Cause.SIGN_IN)
        used = _use(session, ticket, browser)
        clone = _require_clone(browser.user, used)
        _require_screen(clone)
        view_only = is_onlooker(browser.user, clone)
        _one_at_a_time(session, browser.user, clone)
        former = _make_room(session, browser.user, clone, view_only)
        console = Console(
            clone_id=clone.id,
            user_id=browser.user_id,
            sign_in_id=browser.id,
            view_only=view_only,
            address=origin.address.get(),
            gateway=gateway,
        )
        session.add(console)
        events.record(session, browser.user, "look_on" if view_only else "open_console", clone)
        return Grant(console.id, clone.id, clone.node_id, clone.uuid, view_only, former)


def _holds() -> ColumnElement[bool]:
    """Whether a ticket's time is not over; one that would hold for longer than any is of a clock that was ahead."""
    return (Ticket.expires_at > now()) & (Ticket.expires_at <= now() + timedelta(seconds=TICKET_SECONDS) + SLACK)


def _use(session: Session, ticket: str, user_session: UserSession) -> Ticket:
    row = session.scalar(select(Ticket).where(Ticket.token_hash == sessions.digest(ticket)))
    if row is None or row.sign_in_id != user_session.id or row.user_id != user_session.user_id:
        raise ConsoleRefused(Cause.TICKET)
    statement = update(Ticket).where(Ticket.id == row.id, Ticket.used_at.is_(None), _holds())
    result = session.execute(statement.values(used_at=now()))
    if isinstance(result, CursorResult) and result.rowcount == 0:
        raise ConsoleRefused(Cause.TICKET)
    return row


def _require_clone(viewer: User, ticket: Ticket) -> Clone:
    try:
        clone = clone_list.get(viewer, ticket.clone_id)
        require_view(viewer, clone)
    except RavadaError as error:
        raise ConsoleRefused(Cause.REFUSED) from error
    if clone.node_id != ticket.node_id:
        raise ConsoleRefused(Cause.TICKET)
    return clone


def _one_at_a_time(session: Session, viewer: User, clone: Clone) -> None:
    """Serialise the opening of consoles of one viewer and one clone (SQLite's write lock does so already)."""
    session.execute(select(User.id).where(User.id == viewer.id).with_for_update())
    session.execute(select(Clone.id).where(Clone.id == clone.id).with_for_update())


def _make_room(session: Session, viewer: User, clone: Clone, view_only: bool) -> tuple[int, ...]:
    """Close the console that this one takes over from; refuse one too many. Returns the ids of those closed."""
    opened = session.scalars(
        select(Console).where(
            Console.closed_at.is_(None), or_(Console.user_id == viewer.id, Console.clone_id == clone.id)
        )
    ).all()
    if view_only:
        former = [row for row in opened if row.clone_id == clone.id and row.user_id == viewer.id]
        others = [row for row in opened if row.clone_id == clone.id and row.view_only and row not in former]
        if len(others) >= settings().viewers_per_clone:
            raise ConsoleRefused(Cause.TOO_MANY)
    else:
        former = [row for row in opened if row.clone_id == clone.id and not row.view_only]
    elsewhere = [row for row in opened if row.user_id == viewer.id and row not in former]
    if len(elsewhere) >= settings().consoles_per_user:
        raise ConsoleRefused(Cause.TOO_MANY)
    for row in former:
        row.closed_at, row.closed_as = now(), Cause.TAKEN_OVER
    return tuple(row.id for row in former)
