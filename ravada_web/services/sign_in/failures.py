"""Failed attempts to sign in as somebody, counted for that person to be told of."""

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import User, now
from ravada_web.services.transaction import transaction

# Fewer are one's own slips: they are forgotten with the next sign-in.
TOLD_FROM = 5


def count(session: Session, user_id: int) -> None:
    """Count one for the user with this id; 0 is nobody, which takes as long."""
    users = User.__table__
    values = {
        "failed_sign_ins": users.c.failed_sign_ins + 1,
        "failed_since": func.coalesce(users.c.failed_since, now()),
    }
    # A statement on the table: pages that show people are not fetched again for each guess.
    session.execute(update(users).where(users.c.id == user_id).values(values))


def said(user: User) -> Message:
    """What the user is told, until they have said that they know; nothing of a few slips."""
    if user.failed_sign_ins < TOLD_FROM:
        return NOTHING
    return message("sign_in.failed_attempts", since_at=user.failed_since, count=user.failed_sign_ins)


def forget_slips(user: User) -> None:
    """At a sign-in, in its transaction: forget what the user need not be told."""
    if not said(user):
        user.failed_sign_ins, user.failed_since = 0, None


def acknowledge(user: User) -> None:
    """The user knows of them: they are told no more."""
    with transaction():
        user.failed_sign_ins, user.failed_since = 0, None
