"""What keeps a clone from starting, as those who may know of nodes are told."""

import pytest
from sqlalchemy import select, update

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Node, Observed, Pool, ServiceState, Trust
from ravada_web.services.clones import actions
from ravada_web.services.clones.errors import NodeRefuses
from ravada_web.services.clones.obstacles import Obstacle
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_base, make_nodes


def change(table: type, **values: object) -> None:
    with transaction() as session:
        session.execute(update(table).values(**values))


@pytest.fixture
def desks(people: People) -> list[int]:
    """Two desktops of the user's on one node, switched off."""
    request_clones(people.administrator, Request(make_base(make_nodes(1)), 2, "desk", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    return list(db.session.scalars(select(Clone.id)))


@pytest.mark.parametrize(
    ("table", "values", "why", "words"),
    [
        (
            Node,
            {"observed": Observed.DOWN, "reason": "No answer."},
            Obstacle.AWAY,
            "desk-1 and desk-2: Node n1 is not responding",
        ),
        (Node, {"trust": Trust.CHANGED}, Obstacle.QUARANTINED, "a different host key"),
        (
            Node,
            {"service_state": ServiceState.DISABLED},
            Obstacle.CLOSED,
            "desk-1 and desk-2: Node n1 is disabled.",
        ),
        (Pool, {"free_mib": 10}, Obstacle.NO_SPACE, "desk-1 and desk-2: Pool default on node n1 has 10 MiB free"),
        (Pool, {"active": False}, Obstacle.NO_POOL, "no active storage pool"),
        (Pool, {"free_mib": None}, Obstacle.NO_POOL, "default"),
        (Node, {"memory_free_mib": 100}, Obstacle.NO_MEMORY, "512 MiB needed, 100 MiB free"),
        (Node, {"memory_free_mib": None}, Obstacle.NOT_KNOWN, "memory is not known"),
        (Node, {"cpu_overcommit": 0.1}, Obstacle.NO_PROCESSORS, "reached its CPU overcommit: 1 virtual processors"),
    ],
)
def test_an_administrator_is_told_the_cause_with_its_figures(
    people: People, desks: list[int], table: type, values: dict[str, object], why: Obstacle, words: str
) -> None:
    change(table, **values)
    with pytest.raises(NodeRefuses, match=words) as refused:
        actions.start(people.administrator, desks).require_some()
    assert refused.value.obstacle == why
    db.session.rollback()
    assert set(db.session.scalars(select(Clone.state))) == {CloneState.STOPPED}


def test_memory_is_counted_over_all_that_start_on_a_node(people: People, desks: list[int]) -> None:
    change(Node, memory_free_mib=1023)
    outcome = actions.start(people.administrator, desks)
    assert [row.name for row in outcome.done] == ["desk-1"]
    assert [(row.name, row.obstacle) for row in outcome.skipped] == [("desk-2", Obstacle.NO_MEMORY)]
    assert "512 MiB needed, 511 MiB free" in str(outcome.summary())


def test_one_that_is_paused_takes_no_memory_from_those_that_start(people: People, desks: list[int]) -> None:
    with transaction() as session:
        session.get_one(Clone, desks[0]).state = CloneState.PAUSED
    change(Node, memory_free_mib=600)
    assert len(actions.start(people.administrator, desks).done) == 2
