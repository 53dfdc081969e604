"""The pages that have a place of their own, and what is begun from anywhere: for navigation, finder and keys."""

from dataclasses import dataclass

from flask_babel import LazyString

from ravada_web.models import User
from ravada_web.services.permissions import rights
from ravada_web.web.rendering import later as _l


@dataclass(frozen=True)
class Place:
    """A page: its endpoint, word and icon, the right to it ("" is everybody's), the letter that follows `g` to go
    there ("" has none), and the blueprints whose pages it leads to."""

    endpoint: str
    word: LazyString
    icon: str
    right: str = ""
    key: str = ""
    blueprints: tuple[str, ...] = ()


# The first of them have a place on a phone.
MAIN = (
    Place("desktops.index", _l("My desktops"), "device-desktop", "", "d", ("desktops",)),
    Place("clones.index", _l("Clones"), "users", "clones.see_all", "c", ("clones", "moving")),
    Place("bases.index", _l("Bases"), "stack-2", "bases.see", "b", ("bases", "importing", "offers")),
    Place(
        "nodes.index",
        _l("Nodes"),
        "server-2",
        "nodes.see",
        "n",
        ("nodes", "joining", "guide", "pools", "storage", "draining", "rebalancing", "schedule"),
    ),
    Place("operations.index", _l("Operations"), "activity", "operations.see", "o", ("operations",)),
)
MORE = (
    Place(
        "people.index",
        _l("Users"),
        "users-group",
        "users.see",
        "u",
        ("people", "people_actions", "people_selected", "people_table", "groups"),
    ),
    Place("alerts.index", _l("Alerts"), "alert-triangle", "nodes.see", "a", ("alerts",)),
    Place("workers.index", _l("Workers"), "cpu", "operations.see", "w", ("workers", "jobs")),
    Place("audit.index", _l("Audit log"), "list-check", "audit.see", "l", ("audit",)),
)
OTHERS = (
    Place("account.index", _l("Your account"), "settings", "", "y"),
    Place("account.password", _l("Change password"), "key"),
    Place("clones.new", _l("New clones"), "plus", "clones.create"),
    Place("importing.form", _l("Import a base"), "plus", "bases.change"),
    Place("joining.add", _l("Add a node"), "plus", "nodes.change"),
    Place("rebalancing.index", _l("Rebalance nodes"), "server-2", "nodes.change"),
    Place("schedule.page", _l("Resting nodes"), "server-2", "nodes.change"),
    Place("people.new", _l("Add a user"), "plus", "users.change"),
    Place("people_table.form", _l("Import users"), "plus", "users.change"),
    Place("groups.index", _l("Groups"), "users-group", "users.see"),
    Place("groups.new", _l("New group"), "plus", "users.change"),
    Place("people.roles", _l("Roles"), "users-group", "users.see"),
)


def open_to(viewer: User, places: tuple[Place, ...] = MAIN + MORE + OTHERS) -> list[Place]:
    """Those of the places that the viewer may go to."""
    return [place for place in places if not place.right or rights.can(viewer, place.right)]


def named_like(viewer: User, text: str) -> list[Place]:
    """Those whose words, in the reader's language, have the text in them; all of them without a text."""
    sought = text.strip().casefold()
    return [place for place in open_to(viewer) if sought in str(place.word).casefold()]
