"""What “My desktops” and the page of one clone show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ravada_web.models import Base, Clone, User
from ravada_web.services.audit import events
from ravada_web.services.audit.events import Line
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.desktops import cards
from ravada_web.services.desktops.cards import Desktop
from ravada_web.services.paging import Page
from ravada_web.services.permissions import rights

# With fewer desktops than these everything is seen at a glance, and nothing needs to be searched.
SEARCHED_FROM = 12


@dataclass(frozen=True)
class FrontPage:
    """One page of the viewer's desktops, the bases that a new one can be made of, and whether to offer a search."""

    page: Page[Desktop]
    offered: Sequence[Base]
    searches: bool


@dataclass(frozen=True)
class ClonePage:
    """A clone and its card; `decision` placed it (None where it is not known, or not for the viewer), `events` are
    what has happened, for those alone who see everybody's clones."""

    clone: Clone
    desktop: Desktop
    decision: dict[str, Any] | None
    events: Sequence[Line]


def front_page(viewer: User, search: str = "", number: int = 1) -> FrontPage:
    """The viewer's own desktops whose name or base is like the search; offers are on the first page of all."""
    page = cards.page_of(viewer, search, number)
    offered = [] if search or page.page > 1 else cards.new_offers(viewer)
    return FrontPage(page, offered, bool(search) or page.total > SEARCHED_FROM)


def clone_page(viewer: User, clone_id: int) -> ClonePage:
    """One clone. Raises NotFound."""
    clone = clone_list.get(viewer, clone_id)
    manages = rights.can(viewer, "clones.see_all")
    return ClonePage(
        clone=clone,
        desktop=cards.card(viewer, clone),
        decision=clone_list.why(viewer, clone) if manages else None,
        events=events.recent(viewer, "clone", clone_id) if manages else (),
    )
