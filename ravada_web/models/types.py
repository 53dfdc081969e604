"""Column types and small shared columns; no table."""

from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from ravada_web.messages import NOTHING, Message, as_message


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


class MessageText(TypeDecorator[Message]):
    """A message, kept as a line of JSON; a plain text, as rows of before have, is read as a message that keeps it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Message | str | None, _dialect: Dialect) -> str | None:
        """Returns the message as a line of JSON, as it is kept."""
        return as_message(value).dumps() if value is not None else None

    def process_result_value(self, value: Any, _dialect: Dialect) -> Message | None:
        """Returns the message that was kept, or the plain text of before as one."""
        return Message.loads(value) if value is not None else None

    def coerce_compared_value(self, _op: Any, value: Any) -> TypeEngine[Any]:
        """A message is compared as it is kept; a text with what is kept."""
        return self if isinstance(value, Message) else Text()


Id = Annotated[int, mapped_column(primary_key=True)]
Name = Annotated[str, mapped_column(String(64))]
Word = Annotated[str, mapped_column(String(32))]
Sentence = Annotated[str, mapped_column(Text, default="")]
# MiB: an honest pool of 2 PiB has more than 32 bits hold. SQLite's integers always have 64.
Size = Annotated[int, mapped_column(BigInteger().with_variant(Integer, "sqlite"))]
Words = Annotated[Message, mapped_column(MessageText, default=NOTHING)]
Moment = Annotated[datetime, mapped_column(UtcDateTime)]
