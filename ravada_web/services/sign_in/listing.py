"""What the pages of one's own account show of how one signs in."""

from collections.abc import Sequence
from dataclasses import dataclass

from ravada_web.identity.second_factor import picture
from ravada_web.messages import Message
from ravada_web.models import User, UserSession
from ravada_web.services.sign_in import failures, second_factor, sessions


@dataclass(frozen=True)
class Account:
    """The sessions that hold, the recovery codes not used yet, whether the role must have a second factor, and what to
    say of failed attempts, if anything."""

    rows: Sequence[UserSession]
    codes_left: int
    demanded: bool
    failed_attempts: Message


@dataclass(frozen=True)
class SetUp:
    """A second factor to be set up: its secret, that as a picture (an SVG), and whether nothing else goes before."""

    secret: str
    picture: str
    demanded: bool


def account(user: User) -> Account:
    """How the user signs in."""
    return Account(
        sessions.listing(user), second_factor.codes_left(user), second_factor.demanded(user), failures.said(user)
    )


def set_up(user: User) -> SetUp:
    """The second factor that the user is setting up. Raises Conflict where there is one already."""
    secret = second_factor.begin(user)
    return SetUp(secret, picture(secret, user.name), second_factor.owed(user))
