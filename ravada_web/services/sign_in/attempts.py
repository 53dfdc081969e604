"""Attempts to sign in: a password, then a code where the user has a second factor; guesses are counted and slowed."""

from collections.abc import Mapping

from ravada_web.extensions import db
from ravada_web.models import User
from ravada_web.services import rate_limits
from ravada_web.services.audit import origin
from ravada_web.services.sign_in import names, passwords, second_factor, throttling
from ravada_web.services.sign_in.refusals import record_refusal


def by_password(name: str, password: str, devices: Mapping[str, str]) -> User | None:
    """The user of that name and password; None where either is wrong, which is counted and recorded.

    `devices` are the words of the users, by their ids, that have signed in from this browser before. Raises
    TooManyAttempts.
    """
    named = names.find(db.session(), name)
    device = devices.get(str(named.id), "") if named else ""
    counters = throttling.password_counters(name, origin.address.get(), device)
    throttling.require_allowed(counters)
    user = passwords.authenticate(name, password)
    if user is None:
        rate_limits.count_failure(counters)
        record_refusal(name)
    else:
        counters[0].forget()
    return user


def by_code(user: User, code: str, devices: Mapping[str, str]) -> bool:
    """Whether the code is the user's, which uses it up; a wrong one is counted and recorded. `devices` as above. Raises
    TooManyAttempts."""
    counters = throttling.code_counters(user.id, origin.address.get(), devices.get(str(user.id), ""))
    throttling.require_allowed(counters)
    if second_factor.accepts(user, code):
        counters[0].forget()
        return True
    rate_limits.count_failure(counters)
    record_refusal(user.name)
    return False


def awaiting_code(user_id: int) -> User | None:
    """The user whose right password is to be followed by a code; None who may not sign in, or needs no code."""
    user = db.session.get(User, user_id)
    return user if user is not None and user.active and user.has_second_factor else None
