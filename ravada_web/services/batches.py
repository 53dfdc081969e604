"""Work cut into batches: alike things together, and not too many at once."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


def batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in their order, `size` at a time; the last batch may have fewer."""
    for first in range(0, len(items), size):
        yield items[first : first + size]


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """The items by their keys, in the order in which they came."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def grouped_batches(
    items: Iterable[Item], key: Callable[[Item], Key], size: int
) -> Iterator[tuple[Key, Sequence[Item]]]:
    """Batches of at most `size` items that have the same key, with that key."""
    for shared, alike in grouped(items, key).items():
        for batch in batched(alike, size):
            yield shared, batch
