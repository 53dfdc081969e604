"""Rebalancing: moves that make the load of the nodes even, one that helps after the other."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ravada_web.placement.balance import Kind, imbalance
from ravada_web.placement.rebalancing import Chosen, Move, Rebalancing, Standing, confirmed, rebalance
from ravada_web.placement.reserve import Cluster, Running, shortfalls
from ravada_web.placement.types import NodeState
from ravada_web.placement.weighers import DEFAULT_WEIGHTS
from tests.placement.test_select import GOOD

GIB = 1024
OFF = Kind(base=1, memory_mib=2 * GIB, disk_mib=16)
ON = replace(OFF, running=True)


def nodes_of(count: int, gib: int = 64) -> list[NodeState]:
    empty = replace(GOOD, memory_total_mib=gib * GIB, memory_reserve_mib=0, clones=0, running=0)
    return [replace(empty, id=number, name=f"n{number}") for number in range(1, count + 1)]


def put(*groups: tuple[int, Kind, int]) -> list[Standing]:
    """So many clones of a kind on a node each."""
    places = [(node_id, kind) for node_id, kind, count in groups for _ in range(count)]
    return [Standing(number, *place) for number, place in enumerate(places, 1)]


def with_room(nodes: Sequence[NodeState], clones: Iterable[Standing]) -> list[NodeState]:
    """The nodes with these clones on them."""
    states = {node.id: node for node in nodes}
    for clone in clones:
        node, kind = states[clone.node_id], clone.kind
        used = kind.memory_mib if kind.running else 0
        free = (node.memory_total_mib or 0) if node.clones == 0 else node.memory_free_mib or 0
        states[node.id] = replace(
            node, clones=node.clones + 1, running=node.running + kind.running, memory_free_mib=free - used
        )
    untouched = {node.id for node in nodes} - {clone.node_id for clone in clones}
    return [replace(n, memory_free_mib=n.memory_total_mib) if n.id in untouched else n for n in states.values()]


def anywhere(_kind: Kind, _node_id: int) -> bool:
    return True


def planned(nodes: Sequence[NodeState], clones: Sequence[Standing], **more: int) -> Rebalancing:
    return rebalance(with_room(nodes, clones), clones, anywhere, **more)


def after(clones: Iterable[Standing], moves: Iterable[Move]) -> list[Standing]:
    """The clones where the moves take them; those rest."""
    gone = {move.clone_id: move.target_id for move in moves}
    return [replace(one, node_id=gone[one.id], held=True) if one.id in gone else one for one in clones]


def load_of(clone: Standing) -> tuple[int, int, int]:
    return clone.node_id, 1, clone.kind.memory_mib if clone.kind.running else 0


def counts(clones: Iterable[Standing]) -> Mapping[int, int]:
    return Counter(clone.node_id for clone in clones)


def test_an_empty_node_takes_its_share_of_what_is_off() -> None:
    clones = put((1, OFF, 10), (2, OFF, 8))
    plan = planned(nodes_of(3), clones)
    assert counts(after(clones, plan.moves)) == {1: 6, 2: 6, 3: 6}
    assert {move.target_id for move in plan.moves} == {3}
    assert plan.moves[0].reason.code == "evens_clones"
    assert plan.moves[0].reason.figures == {"here": 10, "there": 0}
    assert plan.imbalance[0] > 0.5
    assert plan.imbalance[1] == 0
    assert sum(move.gain for move in plan.moves) == pytest.approx(1)
    assert (plan.loads[3][0].clones, plan.loads[3][1].clones) == (0, 6)


def test_two_are_one_each() -> None:
    plan = planned(nodes_of(2), put((1, OFF, 2)))
    assert [(move.source_id, move.target_id, move.live) for move in plan.moves] == [(1, 2, False)]


@pytest.mark.parametrize("even", [(3, 3), (3, 4), (100, 95), (0, 0), (0, 1)])
def test_what_is_even_is_left(even: tuple[int, int]) -> None:
    assert planned(nodes_of(2), put((1, OFF, even[0]), (2, OFF, even[1]))).moves == ()


def test_fewer_clones_than_nodes_are_even() -> None:
    plan = planned(nodes_of(10), put((1, OFF, 1), (2, OFF, 1), (3, OFF, 1)))
    assert (plan.imbalance, plan.moves) == ((0, 0), ())


def test_those_that_are_off_go_before_those_that_run() -> None:
    clones = put((1, ON, 6), (1, OFF, 6))
    plan = planned(nodes_of(2, gib=640), clones)
    assert [move.live for move in plan.moves] == [False] * len(plan.moves)
    assert counts(after(clones, plan.moves))[2] >= 5


def test_running_ones_go_where_memory_is_uneven_though_the_number_is_not() -> None:
    clones = put((1, ON, 20), (2, OFF, 20))
    plan = planned(nodes_of(2, gib=48), clones)
    live = [move for move in plan.moves if move.live]
    assert live[0].reason.code == "evens_memory"
    assert live[0].reason.figures == {"here": 83, "there": 0}
    memory = [load.memory for _before, load in plan.loads.values()]
    assert abs(memory[0] - memory[1]) < 0.5
    assert max(counts(after(clones, plan.moves)).values()) <= 23


def test_little_memory_in_use_moves_nobody_who_works() -> None:
    assert planned(nodes_of(2, gib=640), put((1, ON, 20), (2, OFF, 20))).moves == ()


def test_volatile_ones_are_moved_last() -> None:
    clones = put((1, replace(ON, volatile=True), 6), (1, ON, 6))
    plan = planned(nodes_of(2, gib=640), clones)
    assert plan.moves
    assert {move.clone_id for move in plan.moves} <= set(range(7, 13))


def test_what_rests_counts_and_stays() -> None:
    clones = [replace(clone, held=True) for clone in put((1, OFF, 10))]
    plan = planned(nodes_of(2), clones)
    assert plan.moves == ()
    assert plan.imbalance[0] > 0.5


def test_nodes_that_take_nothing_are_left_out() -> None:
    first, second, draining, down, kept = with_room(nodes_of(5), put((1, OFF, 4), (2, OFF, 4)))
    out = [
        replace(draining, service_state="draining"),
        replace(down, observed="down"),
        replace(kept, runs_clones=False),
    ]
    plan = rebalance([first, second, *out], put((1, OFF, 4), (2, OFF, 4), (3, OFF, 30)), anywhere)
    assert (plan.imbalance, plan.moves, set(plan.loads)) == ((0, 0), (), {1, 2})


def test_a_kind_goes_only_where_it_may_and_a_clone_not_where_it_is_barred() -> None:
    elsewhere = replace(OFF, base=2)
    barred = replace(elsewhere, barred=frozenset({2}))
    clones = put((1, OFF, 5), (1, elsewhere, 1), (1, barred, 4))
    nodes = with_room(nodes_of(3), clones)
    plan = rebalance(nodes, clones, lambda kind, node_id: kind.base == 2 and node_id == 2)
    assert [(move.clone_id, move.target_id) for move in plan.moves] == [(6, 2)]


def test_a_plan_has_no_more_moves_than_wished_and_the_best_of_them() -> None:
    clones = put((1, OFF, 20), (2, OFF, 10))
    plan = planned(nodes_of(3), clones, most=3)
    assert [(move.source_id, move.target_id) for move in plan.moves] == [(1, 3)] * 3


def test_a_full_node_is_given_none() -> None:
    clones = put((1, OFF, 12))
    nodes = [replace(node, clone_limit=2) if node.id == 2 else node for node in with_room(nodes_of(3), clones)]
    plan = rebalance(nodes, clones, anywhere)
    assert counts(after(clones, plan.moves)) == {1: 5, 2: 2, 3: 5}


def test_the_weights_of_placement_decide_what_counts() -> None:
    clones = put((1, OFF, 10))
    plan = rebalance(with_room(nodes_of(2), clones), clones, anywhere, {**DEFAULT_WEIGHTS, "clones": 0})
    assert (plan.imbalance, plan.moves) == ((0, 0), ())
    assert imbalance(with_room(nodes_of(2), clones), [(1, 10, 0)]) == pytest.approx(0.707, abs=0.001)


def test_room_for_the_loss_of_a_node_is_not_worn_down() -> None:
    """One node is no part of the family of the others: what moves away from it would take the room of those."""
    made_again = frozenset({2, 3})
    clones = put((1, ON, 12), (2, replace(ON, onto=made_again), 5), (3, replace(ON, onto=made_again), 5))
    nodes = with_room(nodes_of(3, gib=24), clones)
    nodes = [
        replace(node, memory_total_mib=24 * GIB, memory_free_mib=free)
        for node, free in zip(nodes, (0, 11 * GIB, 11 * GIB), strict=True)
    ]
    cluster = cluster_of(nodes, clones)
    assert [move for move in rebalance(nodes, clones, anywhere).moves if move.live]
    assert rebalance(nodes, clones, anywhere, cluster=cluster).moves == ()


def cluster_of(nodes: Sequence[NodeState], clones: Sequence[Standing], moved: Iterable[Move] = ()) -> Cluster:
    free = {node.id: (node.memory_free_mib or 0) - node.memory_reserve_mib for node in nodes}
    where = {clone.id: clone for clone in clones}
    for move in moved:
        taken = where[move.clone_id].kind.memory_mib if move.live else 0
        free[move.source_id] += taken
        free[move.target_id] -= taken
        where[move.clone_id] = replace(where[move.clone_id], node_id=move.target_id)
    running = Counter(
        (one.node_id, one.kind.memory_mib, one.kind.onto)
        for one in where.values()
        if one.kind.running and one.kind.onto
    )
    counted = [Running(node_id, memory, count, onto) for (node_id, memory, onto), count in running.items()]
    return Cluster({node.id: node.name for node in nodes}, free, counted)


kinds = st.builds(
    Kind,
    base=st.integers(1, 3),
    memory_mib=st.sampled_from([GIB, 2 * GIB, 6 * GIB]),
    disk_mib=st.just(16),
    vcpus=st.integers(1, 2),
    running=st.booleans(),
    volatile=st.booleans(),
    onto=st.sampled_from([frozenset[int](), frozenset({1, 2, 3, 4, 5}), frozenset({1, 2})]),
)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[NodeState], list[Standing]]:
    """Nodes, some of them tight, of different sizes, and what stands on them."""
    nodes = [
        replace(node, memory_total_mib=draw(st.sampled_from([16, 32, 64])) * GIB)
        for node in nodes_of(draw(st.integers(2, 5)))
    ]
    few = draw(st.lists(kinds, min_size=1, max_size=4, unique=True))
    groups = draw(st.lists(st.tuples(st.integers(1, len(nodes)), st.sampled_from(few), st.integers(1, 8)), max_size=8))
    clones = [replace(clone, held=draw(st.integers(0, 9)) == 0) for clone in put(*groups)]
    limits = st.none() | st.integers(0, 20)
    tight = [replace(node, clone_limit=draw(limits), vcpus_free=draw(limits)) for node in with_room(nodes, clones)]
    return tight, clones


def allowed(kind: Kind, node_id: int) -> bool:
    return kind.base == 1 or node_id % kind.base == 0


@given(clusters())
def test_each_move_makes_the_nodes_more_even(made: tuple[list[NodeState], list[Standing]]) -> None:
    nodes, clones = made
    plan = rebalance(nodes, clones, allowed)
    figures = [
        imbalance(nodes, map(load_of, after(clones, plan.moves[:number]))) for number in range(len(plan.moves) + 1)
    ]
    assert figures == sorted(figures, reverse=True)
    assert len(set(figures)) == len(figures), "no move is for nothing"
    assert (figures[0], figures[-1]) == pytest.approx(plan.imbalance)
    assert all(0 < move.gain <= 1 for move in plan.moves)


@given(clusters())
def test_no_clone_moves_twice_or_where_it_may_not(made: tuple[list[NodeState], list[Standing]]) -> None:
    nodes, clones = made
    plan = rebalance(nodes, clones, allowed)
    known = {clone.id: clone for clone in clones}
    assert len({move.clone_id for move in plan.moves}) == len(plan.moves)
    for move in plan.moves:
        clone = known[move.clone_id]
        assert (clone.node_id, clone.held, clone.kind.running) == (move.source_id, False, move.live)
        assert move.source_id != move.target_id
        assert allowed(clone.kind, move.target_id)


@given(clusters(), st.data())
def test_whatever_part_of_it_is_done_no_node_is_over_its_room(
    made: tuple[list[NodeState], list[Standing]], data: st.DataObject
) -> None:
    nodes, clones = made
    plan = rebalance(nodes, clones, allowed)
    done = data.draw(st.sets(st.sampled_from([move.clone_id for move in plan.moves]))) if plan.moves else set()
    known = {clone.id: clone.kind for clone in clones}
    for node in nodes:
        taken = [known[move.clone_id] for move in plan.moves if move.clone_id in done and move.target_id == node.id]
        started = [kind for kind in taken if kind.running]
        assert not taken or node.clone_limit is None or node.clones + len(taken) <= node.clone_limit
        assert not started or sum(kind.memory_mib for kind in started) <= (node.memory_free_mib or 0)
        assert not started or node.vcpus_free is None or sum(kind.vcpus for kind in started) <= node.vcpus_free


@given(clusters())
def test_at_no_step_is_there_less_room_for_the_loss_of_a_node(made: tuple[list[NodeState], list[Standing]]) -> None:
    nodes, clones = made
    plan = rebalance(nodes, clones, allowed, cluster=cluster_of(nodes, clones))
    missing = [
        max((short.missing_mib for short in shortfalls(cluster_of(nodes, clones, plan.moves[:number]))), default=0)
        for number in range(len(plan.moves) + 1)
    ]
    assert max(missing) == missing[0]


@given(clusters())
def test_a_plan_that_was_done_leaves_nothing_to_do(made: tuple[list[NodeState], list[Standing]]) -> None:
    nodes, clones = made
    roomy = [replace(node, clone_limit=None, vcpus_free=None, memory_free_mib=1 << 20) for node in nodes]
    plan = rebalance(roomy, clones, allowed)
    assert rebalance(roomy, after(clones, plan.moves), allowed).moves == ()


def as_chosen(moves: Iterable[Move]) -> list[Chosen]:
    return [Chosen(move.clone_id, move.source_id, move.target_id, move.live) for move in moves]


@given(clusters())
def test_a_plan_holds_while_nothing_changes(made: tuple[list[NodeState], list[Standing]]) -> None:
    nodes, clones = made
    cluster = cluster_of(nodes, clones)
    plan = rebalance(nodes, clones, allowed, cluster=cluster)
    assert confirmed(nodes, clones, allowed, as_chosen(plan.moves), cluster=cluster) == plan


def test_of_an_old_plan_only_what_still_helps_is_confirmed() -> None:
    clones = put((1, OFF, 8))
    nodes = nodes_of(3)
    chosen = as_chosen(planned(nodes, clones).moves)
    assert len(chosen) == 5
    moved, started, gone = chosen[0].clone_id, chosen[1].clone_id, chosen[2].clone_id
    now = [replace(one, node_id=2) if one.id == moved else one for one in clones if one.id != gone]
    now = [replace(one, kind=ON) if one.id == started else one for one in now]
    left = confirmed(with_room(nodes, now), now, anywhere, chosen)
    assert [move.clone_id for move in left.moves] == [chosen[3].clone_id, chosen[4].clone_id]
    full = [replace(node, clone_limit=0) if node.id != 1 else node for node in with_room(nodes, clones)]
    assert confirmed(full, clones, anywhere, chosen).moves == ()
    even = put((1, OFF, 3), (2, OFF, 3), (3, OFF, 3))
    assert confirmed(with_room(nodes, even), even, anywhere, [Chosen(1, 1, 2, False)]).moves == ()


@given(clusters())
def test_the_same_input_gives_the_same_plan(made: tuple[list[NodeState], list[Standing]]) -> None:
    nodes, clones = made
    assert rebalance(nodes, clones, allowed) == rebalance(nodes[::-1], clones[::-1], allowed)
