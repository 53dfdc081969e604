"""What a node has left to promise, by its overcommit."""

import pytest
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Base, Clone, Node, Pool
from ravada_web.services.clones.errors import NoRoom
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.placements.loads import Load, memory_free, node_states, vcpus_free
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_base, make_nodes


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


def test_a_node_whose_copy_is_in_a_pool_that_is_off_takes_nothing_though_another_pool_is_on(people: People) -> None:
    nodes = make_nodes(2)
    base_id = make_base(nodes)
    with transaction() as session:
        session.get_one(Node, nodes[0]).runs_clones = False
        node = session.get_one(Node, nodes[1])
        node.pools[0].active = False
        node.pools.append(Pool(name="second", path="/srv/second", total_mib=90_000, free_mib=90_000))
    with pytest.raises(NoRoom) as refusal:
        request_clones(people.administrator, Request(base_id, 1, "pc", people.user.name))
    reasons = {verdict.node_name: verdict.reason for verdict in refusal.value.decision.verdicts}
    assert reasons["n2"] is not None and reasons["n2"].code == "pool_off"


def test_a_node_whose_row_makes_no_sense_takes_nothing_says_so_and_keeps_no_other_from_being_chosen(
    people: People,
) -> None:
    nodes = make_nodes(3)
    base_id = make_base(nodes)
    with transaction() as session:
        session.get_one(Node, nodes[1]).facts = ["no", "facts"]
    request_clones(people.administrator, Request(base_id, 4, "desk", people.user.name))
    assert sorted(db.session.scalars(select(Clone.node_id))) == [nodes[0]] * 2 + [nodes[2]] * 2
    base = db.session.get_one(Base, base_id)
    odd = node_states(db.session(), base.versions[-1])[1]
    assert (odd.observed, odd.reason["kind"]) == ("degraded", "general.unexpected")
