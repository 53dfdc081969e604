"""Refused requests, written to the audit log at most once a minute each."""

from ravada_web.models import Event, User
from ravada_web.services import rate_limits
from ravada_web.services.audit import origin
from ravada_web.services.transaction import transaction


def record_refusal(actor: User, what: str) -> None:
    """Record a refused request, at most once a minute for each thing."""
    if not rate_limits.first_in_a_minute("not allowed", str(actor.id), what):
        return
    with transaction() as session:
        line = {"actor": actor.name, "action": "refused", "object_kind": "user", "object_id": actor.id}
        session.add(Event(**line, object_name=actor.name, text=what, address=origin.address.get(), result="refused"))
