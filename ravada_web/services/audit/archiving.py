"""The oldest lines of the audit log go to the archive, in their order; the hash of the last one that went is where the
chain in the database begins.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, Text, delete, select, type_coerce, update

from ravada_web.extensions import db
from ravada_web.models import AuditChain, Event
from ravada_web.services import archive_files
from ravada_web.services.audit.chain import FIELDS, digest, moment
from ravada_web.services.batches import grouped
from ravada_web.services.transaction import read_again, transaction


def archive(before: datetime, most: int) -> int:
    """Move the oldest lines, at most so many, up to the first that is not from before that moment; returns how many.
    The last line stays, and so do all from the first that does not fit the chain: it is evidence. Raises OSError."""
    read_again()
    chain = db.session.execute(select(AuditChain.anchor_id, AuditChain.anchor_digest, AuditChain.head_id)).one()
    lines = _going(chain.anchor_id, chain.anchor_digest, chain.head_id, before, most)
    if not lines:
        return 0
    for month, alike in grouped(lines, lambda line: str(line["at"])[:7]).items():
        archive_files.append("events", month, alike)
    last = lines[-1]
    with transaction() as session:
        anchor = update(AuditChain).where(AuditChain.anchor_id == chain.anchor_id)
        moved = session.execute(anchor.values(anchor_id=last["id"], anchor_digest=last["digest"]))
        if isinstance(moved, CursorResult) and moved.rowcount:
            session.execute(delete(Event).where(Event.id <= last["id"]))
    return len(lines)


def _going(anchor: int, known: str, head: int, before: datetime, most: int) -> list[dict[str, Any]]:
    text = type_coerce(Event.text, Text).label("text")
    columns = [text if name == "text" else getattr(Event, name) for name in (*FIELDS, "digest")]
    query = select(*columns).where(Event.id > anchor, Event.id < head).order_by(Event.id).limit(most)
    going: list[dict[str, Any]] = []
    for row in db.session.execute(query).mappings():
        line = {**row, "at": moment(row["at"])}
        if row["at"] >= before or digest(known, line) != row["digest"]:
            break
        known = row["digest"]
        going.append(line)
    return going
