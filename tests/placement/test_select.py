"""Placement: each filter and its sentence, and what holds for every cluster and every request."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ravada_web.messages import message
from ravada_web.messages.placement import reason_message, shortage, stored_reason
from ravada_web.placement import grouping
from ravada_web.placement.filters import FILTERS, first_reason
from ravada_web.placement.select import charge, place
from ravada_web.placement.types import Decision, Demand, NodeState
from ravada_web.placement.weighers import DEFAULT_WEIGHTS, WEIGHERS

GOOD = NodeState(
    id=1,
    name="n1",
    service_state="enabled",
    observed="up",
    reason={},
    trust="pinned",
    allowed=True,
    replica="ready",
    memory_total_mib=8192,
    memory_free_mib=6144,
    memory_reserve_mib=512,
    disk_free_mib=50_000,
    disk_reserve_mib=1024,
    cpu_load=0.2,
    clones=3,
    running=2,
    clone_limit=None,
)
SILENT = message("remote.link_down", name="n1")
ONE = Demand(count=1, memory_mib=1024, disk_mib=16, start=True, vcpus=2)

numbers = st.integers(0, 20_000)
nodes_lists = st.lists(
    st.builds(
        replace,
        st.just(GOOD),
        memory_total_mib=numbers,
        memory_free_mib=st.none() | numbers,
        memory_reserve_mib=st.integers(0, 2000),
        disk_free_mib=st.none() | numbers,
        cpu_load=st.none() | st.floats(0, 1),
        clones=st.integers(0, 50),
        clone_limit=st.none() | st.integers(0, 60),
        vcpus_free=st.none() | st.integers(0, 40),
        service_state=st.sampled_from(["enabled", "enabled", "disabled", "draining"]),
        observed=st.sampled_from(["up", "up", "degraded", "down", "unknown"]),
        trust=st.sampled_from(["pinned", "pinned", "changed"]),
        allowed=st.sampled_from([True, True, False]),
        replica=st.sampled_from(["ready", "ready", "copying", None]),
    ),
    max_size=8,
).map(lambda nodes: [replace(node, id=number, name=f"n{number}") for number, node in enumerate(nodes, 1)])
demands = st.builds(
    Demand,
    count=st.integers(1, 60),
    memory_mib=st.integers(32, 4096),
    disk_mib=st.integers(1, 200),
    start=st.booleans(),
    vcpus=st.integers(1, 8),
)


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"service_state": "disabled"}, "not_enabled", "is not enabled"),
        ({"service_state": "draining"}, "not_enabled", "is draining"),
        ({"runs_clones": False}, "kept_free", "run no desktops"),
        ({"trust": "changed"}, "quarantined", "a different host key"),
        ({"observed": "down", "reason": SILENT.to_json()}, "not_up", "is down: The connection to n1 is down."),
        ({"observed": "degraded"}, "not_up", "is degraded"),
        ({"allowed": False}, "not_allowed", "Nodes tab"),
        ({"replica": None}, "no_replica", "no copy"),
        ({"replica": "copying"}, "replica_not_ready", "being copied"),
        ({"memory_free_mib": 1535}, "memory", "needs 1 GiB of memory for each clone; 1,023 MiB are free"),
        ({"memory_free_mib": None}, "memory_unknown", "not known"),
        ({"disk_free_mib": 1039}, "disk", "needs 16 MiB of disk for each clone; 15 MiB are free after the 1 GiB"),
        ({"disk_free_mib": None}, "disk_unknown", "counts as full"),
        ({"pool_active": False}, "pool_off", "pool-start"),
        ({"vcpus_free": 1}, "processors", "needs 2 virtual processors for each clone; its overcommit leaves 1"),
        ({"clone_limit": 3}, "clone_limit", "has 3 clones, its limit is 3"),
    ],
)
def test_each_filter_answers_with_its_reason_and_figures(changes: dict[str, object], code: str, text: str) -> None:
    reason = first_reason(replace(GOOD, **changes), ONE)
    assert reason is not None
    assert reason.code == code and text in str(reason_message(reason))


def test_a_node_in_order_is_passed_by_every_filter() -> None:
    assert [rule(GOOD, ONE) for rule in FILTERS] == [None] * len(FILTERS)


def test_a_clone_that_stays_stopped_needs_no_free_memory_but_must_fit_in_all() -> None:
    full = replace(GOOD, memory_free_mib=0)
    assert first_reason(full, replace(ONE, start=False)) is None
    reason = first_reason(full, replace(ONE, start=False, memory_mib=8000))
    assert reason is not None and reason.code == "memory_in_all"
    assert "it has 7.5 GiB in all" in str(reason_message(reason))


def test_twelve_on_three_equal_nodes_are_four_each() -> None:
    nodes = [replace(GOOD, id=number, clones=0) for number in (1, 2, 3)]
    placed = place(nodes, replace(ONE, count=12, memory_mib=128)).placed
    assert [placed.count(number) for number in (1, 2, 3)] == [4, 4, 4]


@given(
    memory=st.lists(st.integers(20_000, 40_000), min_size=2, max_size=6),
    load=st.floats(0, 1),
    count=st.integers(1, 60),
)
def test_unequal_memory_and_load_do_not_break_evenness(memory: list[int], load: float, count: int) -> None:
    nodes = [
        replace(GOOD, id=number, clones=0, memory_total_mib=40_000, memory_free_mib=free, cpu_load=load * (number % 2))
        for number, free in enumerate(memory, 1)
    ]
    placed = place(nodes, Demand(count, 128, 1, start=True)).placed
    counts = [placed.count(node.id) for node in nodes]
    assert sum(counts) == count and max(counts) - min(counts) <= 1


@given(started=st.lists(st.integers(0, 10), min_size=2, max_size=5), count=st.integers(60, 90))
def test_unequal_beginnings_are_evened_out(started: list[int], count: int) -> None:
    nodes = [replace(GOOD, id=number, clones=clones) for number, clones in enumerate(started, 1)]
    placed = place(nodes, Demand(count, 32, 1, start=False)).placed
    totals = [node.clones + placed.count(node.id) for node in nodes]
    assert max(totals) - min(totals) <= 1


@given(nodes=nodes_lists, demand=demands)
def test_no_decision_ever_oversteps_a_limit(nodes: list[NodeState], demand: Demand) -> None:
    decision = place(nodes, demand)
    for node, verdict in zip(nodes, decision.verdicts, strict=True):
        if not verdict.taken:
            continue
        assert first_reason(node, demand) is None
        if demand.start:
            assert (node.memory_free_mib or 0) - verdict.taken * demand.memory_mib >= node.memory_reserve_mib
            assert node.vcpus_free is None or verdict.taken * demand.vcpus <= node.vcpus_free
        assert (node.disk_free_mib or 0) - verdict.taken * demand.disk_mib >= node.disk_reserve_mib
        assert node.clone_limit is None or node.clones + verdict.taken <= node.clone_limit


@given(nodes=nodes_lists, demand=demands)
def test_every_node_has_a_verdict_and_all_or_nothing_is_placed(nodes: list[NodeState], demand: Demand) -> None:
    decision = place(nodes, demand)
    assert [verdict.node_id for verdict in decision.verdicts] == [node.id for node in nodes]
    assert sum(verdict.taken for verdict in decision.verdicts) == decision.fits <= demand.count
    assert len(decision.placed) == (demand.count if decision.complete else 0)
    if not decision.complete:
        assert all(verdict.reason is not None for verdict in decision.verdicts), "what blocks is said of every node"


def rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 3)
        case dict():
            return {name: rounded(part) for name, part in value.items()}
        case list():
            return [rounded(part) for part in value]
    return value


@given(nodes=nodes_lists, demand=demands)
def test_the_same_question_has_the_same_answer_and_survives_json(nodes: list[NodeState], demand: Demand) -> None:
    decision = place(nodes, demand)
    assert decision == place(nodes, demand)
    kept = json.loads(json.dumps(grouping.grouped(decision)))
    names = {node.id: node.name for node in nodes}
    assert rounded(grouping.spread(kept, names)) == rounded(json.loads(json.dumps(decision.to_dict())))


@given(nodes=nodes_lists, demand=demands)
def test_asking_for_fewer_never_fits_worse(nodes: list[NodeState], demand: Demand) -> None:
    fewer = replace(demand, count=max(1, demand.count // 2))
    assert place(nodes, fewer).fits >= min(fewer.count, place(nodes, demand).fits)


@given(nodes=nodes_lists, demand=demands)
def test_every_weigher_stays_between_0_and_1(nodes: list[NodeState], demand: Demand) -> None:
    for verdict in place(nodes, demand).verdicts:
        assert all(0 <= value <= 1 for value in verdict.weights.values())


def test_weights_decide_what_matters() -> None:
    busy = replace(GOOD, id=1, clones=0, memory_free_mib=2048)
    roomy = replace(GOOD, id=2, clones=1, memory_free_mib=8000)
    assert place([busy, roomy], ONE).placed == (1,)
    assert place([busy, roomy], ONE, {**DEFAULT_WEIGHTS, "clones": 0.1}).placed == (2,)
    assert set(DEFAULT_WEIGHTS) == set(WEIGHERS)


def test_charging_takes_memory_only_from_what_starts() -> None:
    assert charge(GOOD, ONE).memory_free_mib == 6144 - 1024
    assert charge(GOOD, replace(ONE, start=False)).memory_free_mib == 6144


def explained(decision: Decision) -> str:
    return str(shortage(decision.requested, decision.fits, decision.verdicts))


def test_a_reason_is_worded_as_it_is_stored() -> None:
    reason = first_reason(replace(GOOD, observed="down", reason=SILENT.to_json()), ONE)
    assert reason is not None
    stored = json.loads(json.dumps({"code": reason.code, "figures": reason.figures}))
    assert stored_reason(stored) == reason_message(reason)


def test_a_reason_of_before_keeps_its_sentence() -> None:
    assert str(stored_reason({"code": "memory", "text": "needs 9 MiB", "figures": {"need_mib": 9}})) == "needs 9 MiB"
    assert not stored_reason(None)


def test_a_shortage_is_told_with_alike_reasons_grouped() -> None:
    nodes = [
        replace(GOOD, id=1, name="n1", clone_limit=3),
        replace(GOOD, id=2, name="n2", service_state="disabled"),
        replace(GOOD, id=3, name="n3", service_state="disabled"),
    ]
    said = explained(place(nodes, replace(ONE, count=5)))
    assert said.startswith("0 of the 5 clones fit, so none was created.")
    assert "n2 and n3: is not enabled" in said and "n1: has 3 clones, its limit is 3" in said


def test_without_any_node_it_says_so() -> None:
    assert "no nodes yet" in explained(place([], ONE))
