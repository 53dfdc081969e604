"""Passwords: check, change, reset."""

from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.identity.passwords import hash_password, matches, random_password
from ravada_web.messages import message
from ravada_web.models import User
from ravada_web.services.audit import events
from ravada_web.services.permissions import rights
from ravada_web.services.sign_in import confirmation, names, second_factor, sessions
from ravada_web.services.transaction import transaction

SHORTEST_PASSWORD = 8


def authenticate(name: str, password: str) -> User | None:
    """The user of that name and password, or None; it takes as long for a name that does not exist."""
    user = names.find(db.session(), name)
    if not matches(password, user.password_hash if user else None) or user is None or not user.active:
        return None
    return user


def change_password(user: User, present: str, password: str, keep_session: int) -> int:
    """Change one's own password; returns how many other sessions were ended. Raises InvalidInput and
    TooManyAttempts."""
    if not confirmation.confirmed(user, present):
        raise InvalidInput({"present": message("sign_in.not_current_password")})
    if matches(password, user.password_hash):
        raise InvalidInput({"password": message("sign_in.same_password")})
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidInput({"password": message("sign_in.password_too_short", count=SHORTEST_PASSWORD)})
    with transaction() as session:
        user.password_hash, user.must_change_password = hash_password(password), False
        events.record(session, user, "set_password", user)
        return sessions.end_all(user, user, keep=keep_session)


def reset_password(actor: User | None, user: User, present: str = "") -> str:
    """Give a user a drawn password, to be shown this once and changed at the next sign-in; ends all sessions.

    `actor` is None for the administrator on the machine; any other enters their own `present` password. Raises
    NotAllowed, InvalidInput and TooManyAttempts.
    """
    if actor is not None:
        rights.require(actor, "users.change")
        confirmation.require(actor, present)
    password = random_password()
    with transaction() as session:
        user.password_hash, user.must_change_password = hash_password(password), True
        events.record(session, actor, "reset_password", user)
        sessions.end_all(actor, user)
    return password


def reset_second_factor(actor: User | None, user: User, present: str = "") -> None:
    """Remove a lost second factor, and end all sessions. `actor`, `present` and what it raises as above."""
    if actor is not None:
        rights.require(actor, "users.change")
        confirmation.require(actor, present)
    with transaction():
        second_factor.forget(actor, user)
        sessions.end_all(actor, user)
