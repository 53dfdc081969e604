"""Old rows go to the archive, some at a time: no transaction holds the database for long, and none waits for the disk
of the archive.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import CursorResult, Text, delete, select, tuple_, type_coerce

from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import Message
from ravada_web.models import Event, now
from ravada_web.models.types import MessageText
from ravada_web.services import archive_files
from ravada_web.services.audit import archiving
from ravada_web.services.batches import grouped
from ravada_web.services.retention.kinds import Kind, before, kinds
from ravada_web.services.transaction import hold_lock, read_again, transaction

log = structlog.get_logger()
# Rows that one transaction deletes, and seconds that a round goes on for.
ROWS = 500
ROUND_SECONDS = 1.0
# Kept by no archive: who reads a hash could try guesses on it.
SECRET = frozenset({"token_hash"})
Step = Callable[[], int]


def thin(seconds: float = ROUND_SECONDS) -> Mapping[str, int]:
    """Archive and delete what is too old, a step of each kind in turn, until nothing is left or about so many seconds
    are over; returns how many rows of each kind have gone."""
    end, gone = time.monotonic() + seconds, Counter[str]()
    steps = _steps(_today())
    # Each round begins with another kind: one of which there is much does not keep the others waiting.
    first = _minute() % len(steps)
    left = [*steps[first:], *steps[:first]]
    while left:
        for name, step in tuple(left):
            count = 0
            with guarded(partial(_stay, name), kind=name):
                count = step()
            gone[name] += count
            if count < ROWS:
                left.remove((name, step))
            if time.monotonic() > end:
                return gone
    return gone


def _minute() -> int:
    return int(time.time() / 60)


def _stay(name: str, reason: Message) -> None:
    """They stay in the database until a later round."""
    log.warning("rows were not archived", kind=name, reason=reason.to_json())


def _today() -> datetime:
    """By what ages count: the clock, but no later than the last thing that happened here. A clock that is ahead for a
    while makes nothing old."""
    read_again()
    last = db.session.scalar(select(Event.at).order_by(Event.id.desc()).limit(1))
    return now() if last is None else min(now(), last)


def _steps(today: datetime) -> list[tuple[str, Step]]:
    steps: list[tuple[str, Step]] = [(kind.name, partial(_archive, kind, before(kind.age, today))) for kind in kinds()]
    return [*steps, ("events", partial(archiving.archive, before("events", today), ROWS))]


def _archive(kind: Kind, limit: datetime) -> int:
    """Move the oldest rows of a kind; returns how many. One that is referred to again meanwhile stays."""
    keys = tuple(kind.table.__table__.primary_key)
    may_go = (kind.moment < limit, *kind.may_go)
    read_again()
    rows = db.session.execute(select(*_columns(kind)).where(*may_go).order_by(kind.moment).limit(ROWS)).mappings().all()
    if not rows:
        return 0
    lines = [{name: _plain(value) for name, value in row.items()} for row in rows]
    for month, alike in grouped(lines, lambda line: line[kind.moment.key][:7]).items():
        archive_files.append(kind.name, month, alike)
    going = tuple_(*keys).in_([tuple(row[key.name] for key in keys) for row in rows])
    with transaction() as session:
        hold_lock(session, "placement")  # which may be about to refer to a roster that nothing refers to now
        gone = session.execute(
            delete(kind.table).where(going, *may_go), execution_options={"synchronize_session": False}
        )
    return gone.rowcount if isinstance(gone, CursorResult) else len(rows)


def _columns(kind: Kind) -> list[Any]:
    """All that a row has, texts as they are kept."""
    return [
        type_coerce(column, Text).label(column.name) if isinstance(column.type, MessageText) else column
        for column in kind.table.__table__.columns
        if column.name not in SECRET
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
