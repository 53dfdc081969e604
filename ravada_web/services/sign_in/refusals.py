"""Refused sign-ins, written to the audit log at most once a minute for each place."""

from ravada_web.services import rate_limits
from ravada_web.services.audit import events, origin
from ravada_web.services.sign_in import names
from ravada_web.services.transaction import transaction


def record_refusal(name: str) -> None:
    """Record a refused sign-in by that name, at most once a minute for each address."""
    shown = "".join(letter for letter in name if letter.isprintable())[:64]
    if not rate_limits.first_in_a_minute("refused", shown, origin.address.get()):
        return
    with transaction() as session:
        events.record_refused_sign_in(session, names.find(session, name), shown)
