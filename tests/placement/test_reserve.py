"""Room for the loss of one node: what is placed beside it can be made again elsewhere, whichever node dies."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ravada_web.messages.placement import reason_message
from ravada_web.placement.reserve import Cluster, Newcomer, Reserve, Running, shortfalls
from ravada_web.placement.select import place
from ravada_web.placement.types import Decision, Demand, NodeState, Reason
from tests.placement.test_select import GOOD

GIB = 1024


def nodes_of(*free_gib: int) -> list[NodeState]:
    return [
        replace(
            GOOD,
            id=number,
            name=f"n{number}",
            memory_total_mib=64 * GIB,
            memory_free_mib=free * GIB,
            memory_reserve_mib=0,
            clones=0,
            running=0,
        )
        for number, free in enumerate(free_gib, 1)
    ]


def cluster_of(nodes: Sequence[NodeState], running: Sequence[Running] = ()) -> Cluster:
    free = {node.id: node.memory_free_mib or 0 for node in nodes}
    return Cluster({node.id: node.name for node in nodes}, free, running)


def charged(node: NodeState, gib: int) -> NodeState:
    return replace(node, memory_free_mib=(node.memory_free_mib or 0) - gib * GIB)


def every(nodes: Sequence[NodeState]) -> frozenset[int]:
    return frozenset(node.id for node in nodes)


def put(
    nodes: Sequence[NodeState], count: int, gib: int, running: Sequence[Running] = (), remade: bool = True
) -> Decision:
    onto = every(nodes) if remade else frozenset()
    demand = Demand(count=count, memory_mib=gib * GIB, disk_mib=1, start=True, onto=onto)
    return place(nodes, demand, cluster=cluster_of(nodes, running))


@pytest.mark.parametrize(
    ("free", "gib", "fits"),
    [
        ((8, 8, 8), 2, 8),  # a third of 24 GiB is kept
        ((8, 8), 2, 4),
        ((8,), 2, 4),  # nothing could be made again anywhere, so nothing is kept for it
        ((8, 8, 8, 8), 3, 6),  # two on each, of which one has to go elsewhere
        ((4, 4, 4, 32), 4, 3),  # the large one takes no more than the others have room for
        ((2, 2, 2), 4, 0),
    ],
)
def test_a_cluster_is_filled_as_far_as_any_one_node_may_be_lost(free: tuple[int, ...], gib: int, fits: int) -> None:
    assert put(nodes_of(*free), 100, gib).fits == fits


def test_room_in_crumbs_is_none() -> None:
    nodes = nodes_of(2, 2, 2, 2, 5)
    decision = put(nodes, 1, 4)
    assert decision.fits == 0
    assert decision.verdicts[-1].reason == Reason("lost_with_it")
    assert decision.verdicts[0].reason is not None
    assert decision.verdicts[0].reason.code == "memory"


def test_the_verdict_names_the_node_for_whose_loss_room_is_kept() -> None:
    nodes = nodes_of(8, 8, 20)
    decision = put(nodes, 1, 4, [Running(2, 4 * GIB, 7, every(nodes))], remade=False)
    reasons = [verdict.reason for verdict in decision.verdicts]
    assert reasons[0] == Reason("kept_for_loss", {"lost_nodes": ["n2"]})
    assert reasons[1] is None, "on the node itself it is in nobody's way"
    assert str(reason_message(reasons[0])) == "its free memory is kept for the loss of n2"


def test_what_is_made_again_itself_uses_that_room_first() -> None:
    nodes = nodes_of(8, 8)
    running = [Running(9, 4 * GIB, 4, every(nodes))]
    assert put(nodes, 4, 4, running).fits == 0
    again = Demand(count=4, memory_mib=4 * GIB, disk_mib=1, start=True, onto=every(nodes))
    assert place(nodes, again).fits == 4


def test_clones_that_stay_off_take_none_of_it() -> None:
    nodes = nodes_of(8, 8)
    off = Demand(count=50, memory_mib=4 * GIB, disk_mib=1, start=False, onto=every(nodes))
    assert place(nodes, off, cluster=cluster_of(nodes, [Running(1, 4 * GIB, 2, every(nodes))])).fits == 50


def test_a_family_of_nodes_keeps_its_own_room_where_the_whole_has_plenty() -> None:
    nodes = nodes_of(8, 4, 64, 64)
    running = [Running(1, 4 * GIB, 1, frozenset({1, 2}))]
    decision = put(nodes, 100, 4, running, remade=False)
    taken = {verdict.node_id: verdict.taken for verdict in decision.verdicts}
    assert taken == {1: 2, 2: 0, 3: 16, 4: 16}


def test_a_shortage_of_before_stops_only_what_makes_it_worse() -> None:
    nodes = nodes_of(8, 3, 8)
    running = [Running(1, 4 * GIB, 5, frozenset({1, 2}))]
    assert [short.node_id for short in shortfalls(cluster_of(nodes, running))] == [1]
    taken = {verdict.node_id: verdict.taken for verdict in put(nodes, 9, 2, running, remade=False).verdicts}
    assert taken[3] == 4, "a node that is no part of it"
    assert taken[1] == 4, "the one that would be lost itself"


def test_starts_of_clones_of_several_sizes_are_charged_one_after_the_other() -> None:
    nodes = nodes_of(8, 8)
    small, large = Newcomer(2 * GIB, every(nodes)), Newcomer(6 * GIB, every(nodes))
    reserve = Reserve(cluster_of(nodes), [small, large])
    assert reserve.refusal(1, large) is None
    reserve.charge(1, large)
    assert reserve.refusal(1, large) == Reason("lost_with_it")
    assert reserve.refusal(2, large) == Reason("kept_for_loss", {"lost_nodes": ["n1"]})
    assert reserve.refusal(2, small) is None, "6 GiB stay free there"
    reserve.charge(2, small)
    assert reserve.refusal(2, small) == Reason("kept_for_loss", {"lost_nodes": ["n1"]})


def test_shortfalls_say_how_much_is_missing_and_the_worst_first() -> None:
    nodes = nodes_of(1, 1, 1)
    running = [Running(1, GIB, 5, every(nodes)), Running(2, GIB, 4, every(nodes)), Running(3, GIB, 1, every(nodes))]
    found = [(short.node_id, short.missing_mib) for short in shortfalls(cluster_of(nodes, running))]
    assert found == [(1, 3 * GIB), (2, 2 * GIB)]


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[NodeState], list[tuple[int, int]]]:
    nodes = nodes_of(*draw(st.lists(st.integers(0, 24), min_size=2, max_size=6)))
    asked = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 12)), min_size=1, max_size=4))
    return nodes, asked


@given(clusters())
def test_whichever_node_dies_what_ran_on_it_fits_elsewhere(made: tuple[list[NodeState], list[tuple[int, int]]]) -> None:
    nodes, asked = made
    standing: Counter[tuple[int, int]] = Counter()
    for gib, count in asked:
        running = [Running(node_id, size * GIB, number, every(nodes)) for (node_id, size), number in standing.items()]
        fits = put(nodes, count, gib, running).fits
        if fits:
            taken = Counter(put(nodes, fits, gib, running).placed)
            standing.update({(node_id, gib): number for node_id, number in taken.items()})
            nodes = [charged(node, taken[node.id] * gib) for node in nodes]
    for dead in every(nodes):
        left = [node for node in nodes if node.id != dead]
        lost = [size for (node_id, size), number in standing.items() for _each in range(number) if node_id == dead]
        for size in sorted(lost, reverse=True):
            decision = place(left, Demand(count=1, memory_mib=size * GIB, disk_mib=1, start=True))
            assert decision.fits == 1, (dead, lost)
            left = [charged(node, size) if node.id == decision.placed[0] else node for node in left]
