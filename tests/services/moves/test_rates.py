"""What moves may take of the network: a node's limit is shared by all that move from or to it."""

import pytest
from flask import Flask

from ravada_web.config import settings
from ravada_web.models import Node, OperationState
from ravada_web.services.moves import rates
from ravada_web.services.moves.rates import Share, share
from tests.support.factories import change, make_nodes, make_operation

ONE, TWO = (1, 2), (1, 3)


@pytest.mark.parametrize(
    ("most", "under_way", "may_take"),
    [
        ({1: 0, 2: 0}, [ONE], 0),
        ({1: 8, 2: 0}, [ONE], 8),
        ({1: 8, 2: 0}, [], 8),
        ({1: 8, 2: 0}, [ONE, TWO], 4),
        ({1: 8, 2: 3}, [ONE, TWO], 3),
        ({1: 0, 2: 8}, [ONE, TWO, (2, 4), (5, 2), (3, 4)], 2),
        ({1: 8, 2: 8}, [ONE] * 20, 1),
    ],
)
def test_each_has_its_part_of_the_busier_end(
    most: dict[int, int], under_way: list[tuple[int, int]], may_take: int
) -> None:
    assert share(ONE, most, under_way) == may_take


def test_it_is_adjusted_when_another_begins_or_ends_or_a_node_is_set_otherwise(
    migrated_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(settings(), "move_mib_per_second", 100)
    first, second, third = make_nodes(3)
    mine = Share(first, second)
    params = {"source_id": first, "target_id": second}
    make_operation("clones_move", state=OperationState.RUNNING, params=params)
    assert mine.mib() == 100, "the setting is the default"
    change(Node, Node.id == second, move_mib_per_second=30)
    assert mine.mib() == 30
    other = {"source_id": third, "target_id": second}
    make_operation("clones_move", state=OperationState.WAITING, params=other)
    assert mine.mib() == 30, "one that waits takes nothing"
    moving = make_operation("clones_move", state=OperationState.RUNNING, params=other)
    assert mine.mib() == 15
    change(type(moving), type(moving).id == moving.id, state=OperationState.DONE)
    assert mine.mib() == 30
    change(Node, Node.id.in_([first, second]), move_mib_per_second=0)
    assert mine.mib() == 0, "no limit, whatever the setting says"
