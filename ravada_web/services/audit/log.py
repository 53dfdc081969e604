"""The audit log as it is read: filtered, in pages, or all of it in batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import Select, select

from ravada_web.extensions import db
from ravada_web.models import Event, User
from ravada_web.services import csv_cells
from ravada_web.services.paging import Page, paginate
from ravada_web.services.permissions import rights

BATCH = 1000
COLUMNS = ("at", "actor", "address", "action", "object_kind", "object_id", "object_name", "result", "text")


@dataclass(frozen=True)
class Filters:
    """What to list; empty fields do not filter. Dates as YYYY-MM-DD, in UTC, both included."""

    actor: str = ""
    action: str = ""
    kind: str = ""
    name: str = ""
    result: str = ""
    since: str = ""
    until: str = ""


def listing(viewer: User, filters: Filters, page: int = 1) -> Page[Event]:
    """The lines that the filters leave, newest first. Raises NotAllowed."""
    rights.require(viewer, "audit.see")
    return paginate(_query(filters), page)


def export(viewer: User, filters: Filters) -> Iterator[str]:
    """All of them as lines of CSV for spreadsheets, read in batches. Raises NotAllowed."""
    rights.require(viewer, "audit.see")
    return _csv_lines(_query(filters))


def _csv_lines(query: Select[Event]) -> Iterator[str]:
    yield csv_cells.line(COLUMNS)
    for event in _batches(query):
        yield csv_cells.line(getattr(event, name) for name in COLUMNS)


def _batches(query: Select[Event]) -> Iterator[Event]:
    before: int | None = None
    while True:
        rows = db.session.scalars((query if before is None else query.where(Event.id < before)).limit(BATCH)).all()
        yield from rows
        if len(rows) < BATCH:
            return
        before = rows[-1].id
        db.session.expunge_all()


def _query(filters: Filters) -> Select[Event]:
    query = select(Event).order_by(Event.id.desc())
    for column, value in (
        (Event.action, filters.action),
        (Event.object_kind, filters.kind),
        (Event.result, filters.result),
    ):
        if value:
            query = query.where(column == value)
    for column, text in ((Event.actor, filters.actor), (Event.object_name, filters.name)):
        if text:
            query = query.where(column.icontains(text, autoescape=True))
    if since := _day(filters.since):
        query = query.where(Event.at >= since)
    if until := _day(filters.until, days=1):
        query = query.where(Event.at < until)
    return query


def _day(text: str, days: int = 0) -> datetime | None:
    """The beginning of the day that comes `days` later; None for what is no day, or after the last one there is."""
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date() + timedelta(days), time(), UTC)
    except (ValueError, OverflowError):
        return None
