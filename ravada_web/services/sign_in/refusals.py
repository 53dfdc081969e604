"""Refused sign-ins, written to the audit log at most once a minute for each place."""

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import User
from ravada_web.services import rate_limits
from ravada_web.services.audit import events, origin
from ravada_web.services.transaction import transaction


def record_refusal(name: str) -> None:
    """Record a refused sign-in by that name, at most once a minute for each address."""
    shown = "".join(letter for letter in name if letter.isprintable())[:64]
    if not rate_limits.first_in_a_minute("refused", shown, origin.address.get()):
        return
    with transaction() as session:
        events.record_refused_sign_in(session, db.session.scalar(select(User).where(User.name == name)), shown)
