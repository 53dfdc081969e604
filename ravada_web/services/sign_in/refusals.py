"""Refused sign-ins: counted for the user, and written to the audit log at most once a minute for each place."""

from ravada_web.addresses import counted
from ravada_web.services import rate_limits
from ravada_web.services.audit import events, origin
from ravada_web.services.sign_in import failures, names
from ravada_web.services.transaction import transaction


def record_refusal(name: str, action: str = "sign_in") -> None:
    """Count a refused attempt as that name, and record it at most once a minute for each address. `action`: "sign_in",
    or "confirm" for a password that was asked for in an open session."""
    shown = "".join(letter for letter in name if letter.isprintable())[:64]
    first = rate_limits.first_in_a_minute("refused", action, shown, counted(origin.address.get()))
    with transaction() as session:
        user = names.find(session, name)
        failures.count(session, user.id if user else 0)
        if first:
            events.record_refused_attempt(session, user, shown, action)
