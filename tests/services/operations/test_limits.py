"""The keys of nodes' limits, and the queues that they hold back."""

import pytest

from ravada_web.services.operations import workers
from ravada_web.services.operations.limits import limit_key, limit_of


@pytest.mark.parametrize("limit", ["build", "copy"])
def test_a_key_is_of_one_node_and_one_limit(limit: str) -> None:
    assert limit_of(limit_key(1, limit)) == limit
    assert len({limit_key(1, limit), limit_key(11, limit), limit_key(1, "other")}) == 3


def test_builds_are_held_back_on_batches_and_copies_on_bulk_and_moves() -> None:
    assert {name: workers.limits_on(name) for name in workers.QUEUES} == {
        "interactive": {"now"},
        "checks": set(),
        "setup": set(),
        "default": set(),
        "batches": {"build", "start"},
        "moves": {"copy"},
        "bulk": {"copy"},
    }
