"""What a node has left to promise, by its overcommit."""

import pytest

from ravada_web.models import Node
from ravada_web.services.placements.loads import Load, memory_free, vcpus_free


@pytest.mark.parametrize(
    ("overcommit", "committed", "free"), [(1.0, 6000, 2000), (2.0, 6000, 5000), (2.0, 14_000, 2000), (0.5, 6000, 0)]
)
def test_memory_is_promised_by_the_overcommit_and_never_beyond_what_is_free(
    overcommit: float, committed: int, free: int
) -> None:
    node = Node(memory_total_mib=8000, memory_free_mib=5000, memory_overcommit=overcommit)
    load = Load()
    load.committed_mib = committed
    assert memory_free(node, load) == free


@pytest.mark.parametrize(("overcommit", "free"), [(None, None), (1.0, 0), (2.5, 12), (4.0, 24)])
def test_processors_are_promised_by_the_overcommit(overcommit: float | None, free: int | None) -> None:
    load = Load()
    load.vcpus = 8
    assert vcpus_free(Node(cpus=8, cpu_overcommit=overcommit), load) == free
