"""Work cut into batches: alike things together, and not too many at once."""

from collections import Counter
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


def taking_turns(batches: Iterable[tuple[Key, Sequence[Item]]]) -> list[tuple[Key, Sequence[Item]]]:
    """The batches in their order, but each key's first one before any key's second one, and so on."""
    turns: Counter[Key] = Counter()

    def turn(batch: tuple[Key, Sequence[Item]]) -> int:
        turns[batch[0]] += 1
        return turns[batch[0]]

    return sorted(batches, key=turn)
