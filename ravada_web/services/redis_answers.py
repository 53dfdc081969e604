"""What Redis holds may have been written by anybody, or half: it is read so that one odd entry is no answer, and all
others are."""

from collections.abc import Iterable
from typing import Any

from redis.client import Pipeline
from redis.exceptions import ResponseError


def answers(pipe: Pipeline) -> list[Any]:
    """Returns the answers of a pipeline's commands, None of each whose key is of another kind than it should be.

    Raises RedisError where Redis is away.
    """
    given = pipe.execute(raise_on_error=False)
    for answer in given:
        if isinstance(answer, Exception) and not isinstance(answer, ResponseError):
            raise answer
    return [None if isinstance(answer, ResponseError) else answer for answer in given]


def words(entries: Iterable[bytes] | None) -> list[str]:
    """Returns those of these entries that are text."""
    return [word for entry in entries or () if (word := _word(entry)) is not None]


def fields(stored: dict[bytes, bytes] | None) -> dict[str, str]:
    """Returns what a hash holds of text under names that are text."""
    pairs = ((_word(name), _word(value)) for name, value in (stored or {}).items())
    return {name: value for name, value in pairs if name is not None and value is not None}


def _word(entry: bytes) -> str | None:
    try:
        return entry.decode()
    except UnicodeDecodeError:
        return None
