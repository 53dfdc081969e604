"""Consoles: tickets that open one, the right asked again at the door, and what is open now.

A ticket is for one user, one browser's sign-in, one clone on one node; once, and within a minute. Its owner alone
works in a clone; operators look on, and its user sees that they do.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import CursorResult, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session, joinedload

from ravada_web.errors import Conflict, NotAllowed, RavadaError
from ravada_web.extensions import db
from ravada_web.models import Base, Clone, CloneState, Console, SignIn, Ticket, User, now
from ravada_web.services import access, clones, events, origin, scopes, sign_ins
from ravada_web.services.console_causes import SENTENCES, Cause
from ravada_web.services.operations import settings
from ravada_web.services.transaction import transaction

TICKET_SECONDS = 60
SHOWN = (CloneState.RUNNING, CloneState.PAUSED, CloneState.STOPPING)
# On its way to a screen: a console that opens now waits for it.
COMING = (CloneState.REQUESTED, CloneState.CREATING, CloneState.STARTING)


class ConsoleRefused(RavadaError):
    """The console does not open; `cause` says why."""

    status = 409

    def __init__(self, cause: Cause) -> None:
        super().__init__(str(SENTENCES[cause]))
        self.cause = cause


@dataclass(frozen=True)
class Grant:
    """A console that may be opened: its row, its clone and node, and the others that it takes over from."""

    console_id: int
    clone_id: int
    clone_uuid: str
    view_only: bool
    takes_over: tuple[int, ...]


def looks_on(viewer: User, clone: Clone) -> bool:
    """Whether the viewer only looks on: everybody but the clone's user."""
    return clone.owner_id != viewer.id


def require_view(viewer: User, clone: Clone) -> None:
    """Raise NotAllowed unless the viewer is the clone's user, or may look on and is not refused."""
    if not looks_on(viewer, clone):
        return
    access.require(viewer, "consoles.look_on")
    if clone.viewers_refused and clone.base.users_may_refuse:
        raise NotAllowed(_("The user of %(clone)s does not want anybody to look on now.", clone=clone.name))


def issue(viewer: User, sign_in_id: int, clone_id: int) -> str:
    """A ticket for the clone's console, to be used from this sign-in within a minute.

    Raises NotFound, NotAllowed, and ConsoleRefused where there is no screen to show now.
    """
    with transaction() as session:
        clone = clones.get(viewer, clone_id)
        require_view(viewer, clone)
        _require_screen(clone)
        token, moment = secrets.token_urlsafe(32), now()
        session.execute(delete(Ticket).where(Ticket.expires_at < moment))
        session.add(
            Ticket(
                token_hash=sign_ins.digest(token),
                user_id=viewer.id,
                sign_in_id=sign_in_id,
                clone_id=clone.id,
                node_id=clone.node_id,
                view_only=looks_on(viewer, clone),
                expires_at=moment + timedelta(seconds=TICKET_SECONDS),
            )
        )
    return token


def _require_screen(clone: Clone) -> None:
    if clone.state == CloneState.UNREACHABLE or not clone.node.serves:
        raise ConsoleRefused(Cause.UNREACHABLE)
    if clone.state not in SHOWN and not comes(clone):
        raise ConsoleRefused(Cause.NOT_RUNNING)


def comes(clone: Clone) -> bool:
    """Whether the clone is on its way to running."""
    return clone.state in COMING or (clone.state == CloneState.STOPPED and clone.start_after)


def redeem(ticket: str, sign_in: str, gateway: str) -> Grant:
    """Use a ticket up, and open a console's row; both secrets are as the browser sent them.

    The right, the clone's node and state, and the caps are asked again here. Raises ConsoleRefused.
    """
    if sign_ins.find(sign_in) is None:  # before the database's write lock: nobody keeps it from others
        raise ConsoleRefused(Cause.SIGN_IN)
    with transaction() as session:
        found = sign_ins.find(sign_in)
        if found is None:
            raise ConsoleRefused(Cause.SIGN_IN)
        used = _use(session, ticket, found)
        clone = _still_theirs(found.user, used)
        _require_screen(clone)
        view_only = looks_on(found.user, clone)
        _one_at_a_time(session, found.user, clone)
        former = _make_room(session, found.user, clone, view_only)
        console = Console(
            clone_id=clone.id,
            user_id=found.user_id,
            sign_in_id=found.id,
            view_only=view_only,
            address=origin.address.get(),
            gateway=gateway,
        )
        session.add(console)
        events.record(session, found.user, "look_on" if view_only else "open_console", clone)
        return Grant(console.id, clone.id, clone.uuid, view_only, former)


def _use(session: Session, ticket: str, sign_in: SignIn) -> Ticket:
    row = session.scalar(select(Ticket).where(Ticket.token_hash == sign_ins.digest(ticket)))
    if row is None or row.sign_in_id != sign_in.id or row.user_id != sign_in.user_id:
        raise ConsoleRefused(Cause.TICKET)
    fresh = update(Ticket).where(Ticket.id == row.id, Ticket.used_at.is_(None), Ticket.expires_at > now())
    done = session.execute(fresh.values(used_at=now()))
    if isinstance(done, CursorResult) and done.rowcount == 0:
        raise ConsoleRefused(Cause.TICKET)
    return row


def _still_theirs(viewer: User, ticket: Ticket) -> Clone:
    try:
        clone = clones.get(viewer, ticket.clone_id)
        require_view(viewer, clone)
    except RavadaError as error:
        raise ConsoleRefused(Cause.REFUSED) from error
    if clone.node_id != ticket.node_id:
        raise ConsoleRefused(Cause.TICKET)
    return clone


def _one_at_a_time(session: Session, viewer: User, clone: Clone) -> None:
    """Who opens two consoles at the same moment, or opens one beside somebody else, waits for the first to be in the
    books (SQLite's write lock does so already)."""
    session.execute(select(User.id).where(User.id == viewer.id).with_for_update())
    session.execute(select(Clone.id).where(Clone.id == clone.id).with_for_update())


def _make_room(session: Session, viewer: User, clone: Clone, view_only: bool) -> tuple[int, ...]:
    """Close the console that this one takes over from; refuse one too many. Answers the ids of those closed."""
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
    mine = [row for row in opened if row.user_id == viewer.id and row not in former]
    if len(mine) >= settings().consoles_per_user:
        raise ConsoleRefused(Cause.TOO_MANY)
    for row in former:
        row.closed_at, row.closed_as = now(), Cause.TAKEN_OVER
    return tuple(row.id for row in former)


def ended(console_id: int, cause: Cause) -> None:
    """Write down that a console has closed, once."""
    with transaction() as session:
        row = session.get(Console, console_id, options=[joinedload(Console.clone), joinedload(Console.user)])
        if row is not None and row.closed_at is None:
            row.closed_at, row.closed_as = now(), cause
            events.record(session, row.user, "close_console", row.clone, cause)


def close_left_open(gateway: str) -> None:
    """Close the rows of consoles that a former process of this gateway left open when it was killed."""
    with transaction() as session:
        left = update(Console).where(Console.gateway == gateway, Console.closed_at.is_(None))
        session.execute(left.values(closed_at=now(), closed_as=Cause.SHUTDOWN))


# What is asked of all open consoles every second: columns alone, as rows of their own would cost ten times as much.
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
        Clone.state,
        Clone.start_after,
        and_(Clone.viewers_refused, Base.users_may_refuse).label("refused"),
    )
    .join(Clone, Clone.id == Console.clone_id)
    .join(Base, Base.id == Clone.base_id)
)
OpenRow = Any


def to_close(console_ids: Collection[int]) -> Mapping[int, Cause]:
    """Which of these open consoles must close now, and why: the right is lost, the sign-in over, the clone off."""
    rows = db.session.execute(_OPEN.where(Console.id.in_(console_ids))).all()
    held = {found.id: found.user for found in sign_ins.still_valid({row.sign_in_id for row in rows if row.sign_in_id})}
    seen = _may_look_on([row for row in rows if row.view_only], held)
    causes = {row.id: _cause(row, held, seen) for row in rows}
    # A row that is gone went with its clone, or its user.
    gone = dict.fromkeys(set(console_ids) - set(causes), Cause.STOPPED)
    return gone | {console_id: cause for console_id, cause in causes.items() if cause is not None}


def _may_look_on(rows: Sequence[OpenRow], held: Mapping[int, User]) -> set[tuple[int, int]]:
    """Who may look on at which clone, of those who do: one question for each person."""
    allowed: set[tuple[int, int]] = set()
    for user in {user.id: user for user in held.values() if access.can(user, "consoles.look_on")}.values():
        asked = {row.clone_id for row in rows if row.user_id == user.id}
        if asked:
            may = select(Clone.id).where(Clone.id.in_(asked), scopes.clones(user, "clones.see_all"))
            allowed.update((user.id, clone_id) for clone_id in db.session.scalars(may))
    return allowed


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
        return Cause.UNREACHABLE if row.state == CloneState.UNREACHABLE else Cause.STOPPED
    return None


def viewers(clone: Clone) -> Sequence[Console]:
    """Who looks on at a clone now."""
    query = select(Console).where(Console.clone_id == clone.id, Console.view_only, Console.closed_at.is_(None))
    return db.session.scalars(query.options(joinedload(Console.user)).order_by(Console.id)).all()


def open_count() -> int:
    """How many consoles are open in the whole installation."""
    return db.session.scalar(select(func.count()).select_from(Console).where(Console.closed_at.is_(None))) or 0


def refuse_viewers(actor: User, clone_id: int, refused: bool) -> None:
    """The clone's user closes the door on operators who look on, or opens it again.

    Raises Conflict where its base does not leave that to its users.
    """
    with transaction() as session:
        clone = clones.get(actor, clone_id)
        if looks_on(actor, clone):
            raise NotAllowed(_("Only the desktop's own user decides this."))
        if not clone.base.users_may_refuse:
            raise Conflict(_("Operators may look on at every desktop of this base."))
        clone.viewers_refused = refused
        events.record(session, actor, "refuse_viewers" if refused else "allow_viewers", clone)
