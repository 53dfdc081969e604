"""Column types and small shared columns; no table."""

from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import DateTime, Dialect, String, Text
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, with its zone, on databases that keep zones and on those that do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Returns the moment in UTC, as it is kept."""
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any, _dialect: Dialect) -> datetime | None:
        """Returns the moment with its zone, whether the database kept that or not."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


Id = Annotated[int, mapped_column(primary_key=True)]
Name = Annotated[str, mapped_column(String(64))]
Word = Annotated[str, mapped_column(String(32))]
Sentence = Annotated[str, mapped_column(Text, default="")]
Moment = Annotated[datetime, mapped_column(UtcDateTime)]
