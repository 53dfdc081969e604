"""Batches: in order, none lost, none too big, and alike things together."""

from hypothesis import given
from hypothesis import strategies as st

from ravada_web.services.batches import batched, grouped, grouped_batches

NUMBERS = st.lists(st.integers(0, 30))
SIZES = st.integers(1, 7)


@given(NUMBERS, SIZES)
def test_batches_are_full_but_for_the_last(items: list[int], size: int) -> None:
    batches = list(batched(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(0 < len(batch) <= size for batch in batches[-1:])


@given(NUMBERS)
def test_a_group_has_all_that_is_alike_in_its_order(items: list[int]) -> None:
    groups = grouped(items, lambda number: number % 3)
    assert groups == {key: [item for item in items if item % 3 == key] for key in dict.fromkeys(n % 3 for n in items)}


@given(NUMBERS, SIZES)
def test_no_batch_mixes_what_is_not_alike(items: list[int], size: int) -> None:
    batches = list(grouped_batches(items, lambda number: number % 3, size))
    assert sorted(item for _key, batch in batches for item in batch) == sorted(items)
    assert all({item % 3 for item in batch} == {key} and len(batch) <= size for key, batch in batches)
    assert len(batches) == sum(-(-len(alike) // size) for alike in grouped(items, lambda n: n % 3).values())
