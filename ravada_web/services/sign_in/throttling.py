"""Which failed attempts to sign in count together, and what they cost.

The guesser is slowed, by name and device: the wait between guesses doubles up to a day. A browser that has signed in
under that name before has a count of its own, which nobody else's guesses touch. Others are told apart by their
address (of IPv6: its /64); all of them together are slowed for a name up to an hour, so that a guesser with many
addresses is slowed as well. An address is never closed: many people may share it.
"""

from collections.abc import Sequence

from limits import parse

from ravada_web.addresses import counted
from ravada_web.config import settings
from ravada_web.errors import RavadaError
from ravada_web.messages import message
from ravada_web.services import rate_limits
from ravada_web.services.rate_limits import Counter, Growing, Slowing

HOUR, DAY = 3600, 86_400
CODES, CODES_FROM_ANYWHERE = "5 per minute", "30 per hour"


class TooManyAttempts(RavadaError):
    """So many guesses have failed that none is looked at for so many seconds."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(message("sign_in.too_many_attempts", wait_seconds=seconds))
        self.seconds = seconds


def require_allowed(counters: Sequence[Counter]) -> None:
    """Raise TooManyAttempts where one of these is to be waited for."""
    if seconds := rate_limits.seconds_to_wait(counters):
        raise TooManyAttempts(seconds)


def password_counters(name: str, address: str, device: str) -> list[Counter]:
    """What a failed password for that name, from that address, counts to; `device` is its cookie's word, or ""."""
    known, limit = name.lower()[:64], parse(settings().login_limit)
    if device:
        return [Growing(limit, ("device", device), DAY)]
    return [
        Growing(limit, ("name and address", known, counted(address)), DAY),
        Growing(parse(settings().login_limit_per_name), ("name", known), HOUR),
        Slowing(parse(settings().login_limit_per_address), ("address", counted(address))),
    ]


def code_counters(user_id: int, address: str, device: str) -> list[Counter]:
    """What a wrong code of the second factor counts to: whoever enters one knows the password."""
    if device:
        return [Growing(parse(CODES), ("code", "device", device), DAY)]
    return [
        Growing(parse(CODES), ("code", str(user_id), counted(address)), DAY),
        Growing(parse(CODES_FROM_ANYWHERE), ("code", str(user_id)), DAY),
    ]


def confirmation_counters(user_id: int, address: str) -> list[Counter]:
    """What a wrong password counts to that is asked for in an open session."""
    return [
        Growing(parse(settings().login_limit), ("confirm", str(user_id), counted(address)), DAY),
        Growing(parse(settings().login_limit_per_name), ("confirm", str(user_id)), HOUR),
    ]
