"""Who may do what: the rights of each role, checked by every use case."""

from ravada_web.errors import NotAllowed
from ravada_web.messages import message
from ravada_web.models import Role, User

_OPERATOR = frozenset(
    {
        "nodes.see",
        "bases.see",
        "clones.see_all",
        "clones.create",
        "clones.control_all",
        "operations.see",
        "operations.control",
        "users.see",
        "consoles.look_on",
    }
)
RIGHTS: dict[str, frozenset[str]] = {
    Role.USER: frozenset(),
    Role.OPERATOR: _OPERATOR,
    Role.ADMINISTRATOR: _OPERATOR | {"nodes.change", "bases.change", "users.change", "audit.see"},
}


def can(user: User, right: str) -> bool:
    """Whether the user's role has the right."""
    return user.active and right in RIGHTS.get(user.role, frozenset())


def require(user: User, right: str) -> None:
    """Raise NotAllowed unless the user has the right."""
    if not can(user, right):
        raise NotAllowed(message("general.not_allowed"))
