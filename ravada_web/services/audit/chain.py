"""The chain of the audit log: each line has the hash of itself and of the line before, so that none can be changed,
taken out or put in between without all later ones showing it.

Whatever adds an Event to a session, its line is written as the last thing before the commit: only that moment needs the
chain's lock, and nothing else is locked while it is held.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import event, insert, select, update
from sqlalchemy.orm import Session, UOWTransaction

from ravada_web.messages import NOTHING, as_message
from ravada_web.models import AuditChain, Event, now
from ravada_web.services.pending import Pending

# What a line's hash covers, with that of the line before it.
FIELDS = ("id", "at", "actor", "action", "object_kind", "object_id", "object_name", "text", "address", "result")
_LINES = Pending[dict[str, Any]]("audit")


def digest(previous: str, line: Mapping[str, Any]) -> str:
    """Returns the hash that a line has after one with the hash `previous` ("" for the first). `line` has the FIELDS:
    the moment as ISO 8601 in UTC, the text as its column keeps it."""
    covered = json.dumps({name: line[name] for name in FIELDS}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{covered}".encode()).hexdigest()


def moment(at: datetime) -> str:
    """Returns a moment as a line's hash covers it, which no database rounds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def listen() -> None:
    """Bind the chain to the session: a commit writes the lines that were added."""
    if not event.contains(Session, "before_commit", _write):
        event.listen(Session, "before_flush", _hold_back)
        event.listen(Session, "before_commit", _write)


def _hold_back(session: Session, _context: UOWTransaction, _instances: object) -> None:
    for row in [row for row in session.new if isinstance(row, Event)]:
        session.expunge(row)
        _LINES.add(session, _values(row))


def _values(row: Event) -> dict[str, Any]:
    """The line's columns, those that were not set with their defaults."""
    return {
        "at": row.at or now(),
        "actor": row.actor or "",
        "action": row.action,
        "object_kind": row.object_kind,
        "object_id": row.object_id,
        "object_name": row.object_name or "",
        "text": row.text or NOTHING,
        "address": row.address or "",
        "result": row.result or "done",
    }


def _write(session: Session) -> None:
    """Write the lines at the chain's end, if this is the commit of all and not of a savepoint."""
    if session.in_nested_transaction():
        return
    session.flush()
    lines = _LINES.take(session)
    if not lines:
        return
    end = session.execute(select(AuditChain.head_id, AuditChain.head_digest).with_for_update()).one()
    number, last = end.head_id, end.head_digest
    rows = []
    for values in lines:
        number += 1
        line = values | {"id": number, "at": moment(values["at"]), "text": as_message(values["text"]).dumps()}
        last = digest(last, line)
        rows.append(values | {"id": number, "digest": last})
    session.execute(insert(Event), rows)
    session.execute(update(AuditChain).values(head_id=number, head_digest=last))
