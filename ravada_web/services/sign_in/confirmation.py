"""The password once more, in a session that is open: for what would keep its owner out, or let somebody else stay.

It is asked each time, as nobody knows who sits before an open session. Wrong ones are counted and slowed as those of
signing in are, each person's for themselves, and each is one of the failed attempts that the person is told of.
"""

from ravada_web.errors import InvalidInput
from ravada_web.identity.passwords import matches
from ravada_web.messages import message
from ravada_web.models import User
from ravada_web.services import rate_limits
from ravada_web.services.audit import origin
from ravada_web.services.sign_in import throttling
from ravada_web.services.sign_in.refusals import record_refusal


def confirmed(actor: User, password: str) -> bool:
    """Whether this is the actor's own password; a wrong one is counted and recorded. Raises TooManyAttempts."""
    counters = throttling.confirmation_counters(actor.id, origin.address.get())
    throttling.require_allowed(counters)
    if matches(password, actor.password_hash):
        counters[0].forget()
        return True
    rate_limits.count_failure(counters)
    record_refusal(actor.name, "confirm")
    return False


def require(actor: User, password: str, field: str = "password") -> None:
    """Raise InvalidInput for that field unless this is the actor's own password. Raises TooManyAttempts."""
    if not confirmed(actor, password):
        raise InvalidInput({field: message("sign_in.wrong_password")})
