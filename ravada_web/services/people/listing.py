"""What the page of one user shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from ravada_web.models import Event, User, UserSession
from ravada_web.services.audit import events
from ravada_web.services.people import quotas, users
from ravada_web.services.people.quotas import Quota
from ravada_web.services.people.users import PersonRow
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.sign_in import second_factor, sessions


@dataclass(frozen=True)
class Person:
    """A user: the line of the list, the quota and what is used of them, the bases and nodes of an operator's scope
    (None is all of them), the sessions, whether a second factor is demanded, and what has happened.

    `used`, `scope` and `sessions` are for those alone who may change users: None and () for others.
    """

    user: User
    row: PersonRow
    most: Quota
    used: Quota | None
    scope: tuple[Sequence[str], Sequence[str]] | None
    sessions: Sequence[UserSession]
    demanded: bool
    events: Sequence[Event]


def person(viewer: User, user_id: int) -> Person:
    """One user. Raises NotFound, and NotAllowed for one who may not see users."""
    user = users.get(viewer, user_id)
    changes = rights.can(viewer, "users.change")
    return Person(
        user=user,
        row=users.row_of(viewer, user),
        most=quotas.quota_of(user),
        used=quotas.used_by(user) if changes else None,
        scope=scopes.names(user) if changes else None,
        sessions=sessions.listing(user) if changes else (),
        demanded=second_factor.demanded(user),
        events=events.recent("user", user_id),
    )
