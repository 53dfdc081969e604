"""What “My desktops” and the page of one clone show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Base, Cause, Clone, CloneCopy, Remains, User
from ravada_web.services.audit import events
from ravada_web.services.audit.events import Line
from ravada_web.services.clones import copies
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.desktops import cards
from ravada_web.services.desktops.cards import Desktop
from ravada_web.services.moves import under_way
from ravada_web.services.moves.under_way import UnderWay
from ravada_web.services.paging import Page
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

# With fewer desktops than these everything is seen at a glance, and nothing needs to be searched.
SEARCHED_FROM = 12
_TOLD = (Cause.GIVEN_UP, Cause.LOST)
_UNREAD = select(Remains).where(Remains.cause.in_(_TOLD), ~Remains.dismissed).order_by(Remains.name)


@dataclass(frozen=True)
class FrontPage:
    """One page of the viewer's desktops, the bases that a new one can be made of, whether to offer a search, and what
    became of desktops that were given up with their nodes."""

    page: Page[Desktop]
    offered: Sequence[Base]
    searches: bool
    given_up: Sequence[Message]


@dataclass(frozen=True)
class ClonePage:
    """A clone and its card; `copies` of it on other nodes, the newest first; `decision` placed it (None where it is not
    known, or not for the viewer), `events` are what has happened, for those alone who see everybody's clones; `move` is
    its move to another node that is under way."""

    clone: Clone
    desktop: Desktop
    copies: Sequence[CloneCopy]
    decision: dict[str, Any] | None
    events: Sequence[Line]
    move: UnderWay | None


def front_page(viewer: User, search: str = "", number: int = 1) -> FrontPage:
    """The viewer's own desktops whose name or base is like the search; offers are on the first page of all."""
    page = cards.page_of(viewer, search, number)
    offered = [] if search or page.page > 1 else cards.new_offers(viewer)
    return FrontPage(page, offered, bool(search) or page.total > SEARCHED_FROM, _given_up(viewer))


def _given_up(viewer: User) -> list[Message]:
    """What became of desktops of the viewer's that were given up with their nodes, until they have read it."""
    return [_became_of(row) for row in db.session.scalars(_UNREAD.where(Remains.owner_id == viewer.id))]


def _became_of(row: Remains) -> Message:
    figures: dict[str, str | datetime] = {"name": row.name, "base": row.base_name, "given_up_at": row.left_at}
    return message(f"desktops.{Cause(row.cause)}", **figures)


def dismiss_given_up(viewer: User) -> None:
    """Say no longer what became of the viewer's desktops that were given up."""
    with transaction() as session:
        session.execute(delete(Remains).where(Remains.owner_id == viewer.id, Remains.cause == Cause.LOST))
        session.execute(update(Remains).where(Remains.owner_id == viewer.id).values(dismissed=True))


def clone_page(viewer: User, clone_id: int) -> ClonePage:
    """One clone. Raises NotFound."""
    clone = clone_list.get(viewer, clone_id)
    manages = rights.can(viewer, "clones.see_all")
    return ClonePage(
        clone=clone,
        desktop=cards.card(viewer, clone),
        copies=() if clone.volatile else copies.copies_of(clone),
        decision=clone_list.why(viewer, clone) if manages else None,
        events=events.recent(viewer, "clone", clone_id) if manages else (),
        move=under_way.of_clones(viewer, [clone]).get(clone.id),
    )
