"""What keeps a clone from starting: the rule, and the refusals of those who may know of nodes."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Node, Observed, Pool, ServiceState, Trust
from ravada_web.services.clones import actions
from ravada_web.services.clones.errors import NodeRefuses
from ravada_web.services.clones.obstacles import Circumstances, Obstacle, obstacle_of
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_base, make_nodes

WELL = Circumstances(
    state=CloneState.STOPPED,
    observed=Observed.UP,
    trust=Trust.PINNED,
    service_state=ServiceState.ENABLED,
    has_room=True,
    needs_mib=512,
    startable_mib=512,
)
# All that can be in the way at once.
WORST = {
    "trust": Trust.CHANGED,
    "observed": Observed.DOWN,
    "service_state": ServiceState.DRAINING,
    "has_room": False,
    "startable_mib": 511,
}
PAUSED, RUNNING = {"state": CloneState.PAUSED}, {"state": CloneState.RUNNING}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"trust": Trust.CHANGED}, Obstacle.QUARANTINED),
        ({"observed": Observed.DOWN}, Obstacle.AWAY),
        ({"observed": Observed.DEGRADED}, Obstacle.AWAY),
        ({"observed": Observed.UNKNOWN}, Obstacle.AWAY),
        ({"state": CloneState.UNREACHABLE}, Obstacle.AWAY),
        ({"service_state": ServiceState.DISABLED}, Obstacle.CLOSED),
        ({"service_state": ServiceState.DRAINING}, Obstacle.CLOSED),
        ({"has_room": False}, Obstacle.NO_SPACE),
        ({"startable_mib": 511}, Obstacle.NO_MEMORY),
        (PAUSED, None),
        # It holds its memory still, and goes on where nothing new may start; but it may write to its disk.
        (PAUSED | {"service_state": ServiceState.DISABLED, "startable_mib": 0}, None),
        (PAUSED | {"has_room": False}, Obstacle.NO_SPACE),
        (PAUSED | {"observed": Observed.DOWN}, Obstacle.AWAY),
        # What runs, or is in work, starts no more.
        (RUNNING | {"service_state": ServiceState.DISABLED, "has_room": False, "startable_mib": 0}, None),
        (RUNNING | {"trust": Trust.CHANGED}, Obstacle.QUARANTINED),
        ({"state": CloneState.CREATING, "has_room": False, "startable_mib": 0}, None),
    ],
)
def test_the_rule(values: dict[str, object], expected: Obstacle | None) -> None:
    assert obstacle_of(replace(WELL, **values)) == expected


def test_the_hardest_to_remove_is_named_first() -> None:
    left, named = dict(WORST), []
    for cause in WORST:
        named.append(obstacle_of(replace(WELL, **left)))
        del left[cause]
    order = ["QUARANTINED", "AWAY", "CLOSED", "NO_SPACE", "NO_MEMORY"]
    assert named == [Obstacle[name] for name in order]


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
        (Node, {"observed": Observed.DOWN, "reason": "No answer."}, Obstacle.AWAY, "desk-1 cannot be reached: node n1"),
        (Node, {"trust": Trust.CHANGED}, Obstacle.QUARANTINED, "a different host key"),
        (
            Node,
            {"service_state": ServiceState.DISABLED},
            Obstacle.CLOSED,
            "desk-1 cannot start: its node n1 is disabled",
        ),
        (Pool, {"free_mib": 10}, Obstacle.NO_SPACE, "desk-1 cannot start: Pool default on node n1 has 10 MiB free"),
        (Pool, {"active": False}, Obstacle.NO_SPACE, "no active storage pool"),
    ],
)
def test_an_administrator_is_told_the_cause_with_its_figures(
    people: People, desks: list[int], table: type, values: dict[str, object], why: Obstacle, words: str
) -> None:
    change(table, **values)
    with pytest.raises(NodeRefuses, match=words) as refused:
        actions.start(people.administrator, desks)
    assert refused.value.obstacle == why
    db.session.rollback()
    assert set(db.session.scalars(select(Clone.state))) == {CloneState.STOPPED}


def test_memory_is_counted_over_all_that_start_on_a_node(people: People, desks: list[int]) -> None:
    change(Node, memory_free_mib=1023)
    with pytest.raises(NodeRefuses, match="1 GiB needed, 1,023 MiB free") as refused:
        actions.start(people.administrator, desks)
    assert refused.value.obstacle == Obstacle.NO_MEMORY
    assert actions.start(people.administrator, desks[:1]) == 1


def test_one_that_is_paused_takes_no_memory_from_those_that_start(people: People, desks: list[int]) -> None:
    with transaction() as session:
        session.get_one(Clone, desks[0]).state = CloneState.PAUSED
    change(Node, memory_free_mib=600)
    assert actions.start(people.administrator, desks) == 2
