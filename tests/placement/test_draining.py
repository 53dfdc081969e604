"""Draining: every clone has one outcome with a reason, nobody goes to a node that is left, no node gets too much."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ravada_web.placement import draining
from ravada_web.placement.draining import COLD, LIVE, SHUT_DOWN, STAYS, THROW_AWAY, WAIT, Choices, Guest, decide
from ravada_web.placement.filters import first_reason
from ravada_web.placement.reserve import Cluster, Running
from ravada_web.placement.types import Demand, NodeState, Reason
from ravada_web.platforms import Host, Platform

HOST = Host("x86_64", "qemu", frozenset({"pc-q35-7.2"}), frozenset())
GOING = (LIVE, COLD, SHUT_DOWN)


def node(id_: int, **values: object) -> NodeState:
    plain: dict[str, object] = {
        "service_state": "enabled",
        "observed": "up",
        "reason": {},
        "trust": "pinned",
        "allowed": True,
        "replica": "ready",
        "memory_total_mib": 8192,
        "memory_free_mib": 8192,
        "memory_reserve_mib": 0,
        "disk_free_mib": 100_000,
        "disk_reserve_mib": 0,
        "cpu_load": 0.0,
        "clones": 0,
        "running": 0,
        "clone_limit": None,
    }
    return NodeState(id=id_, name=f"n{id_}", **plain | values)  # type: ignore[arg-type]


def guest(id_: int, **values: object) -> Guest:
    plain: dict[str, object] = {"node_id": 1, "version_id": 1, "memory_mib": 1024, "disk_mib": 100, "running": False}
    return Guest(id_, **plain | values)  # type: ignore[arg-type]


def ways(outcomes: list[draining.Outcome]) -> dict[int, tuple[str, int | None]]:
    return {outcome.guest_id: (outcome.way, outcome.to) for outcome in outcomes}


LEAVING = Choices(frozenset({1}))
versions = st.integers(1, 2)
guests_of = st.lists(
    st.builds(
        Guest,
        id=st.integers(),
        node_id=st.sampled_from([1, 2]),
        version_id=versions,
        memory_mib=st.sampled_from([512, 1024, 4096]),
        disk_mib=st.sampled_from([100, 1000]),
        running=st.booleans(),
        volatile=st.booleans(),
        in_use=st.booleans(),
        starts=st.booleans(),
        busy=st.sampled_from([None, None, None, Reason("busy")]),
        stuck=st.sampled_from([None, None, None, Reason("stuck")]),
        planned=st.sampled_from([None, 3, 4]),
        barred=st.sampled_from([frozenset(), frozenset({3})]),
        virt_type=st.just("qemu"),
        platform=st.sampled_from([Platform(), Platform("pc-q35-7.2")]),
    ),
    max_size=25,
    unique_by=lambda one: one.id,
)
states_of = st.fixed_dictionaries(
    {
        version: st.tuples(
            *(
                st.builds(
                    node,
                    st.just(id_),
                    replica=st.sampled_from(["ready", "ready", None, "failed"]),
                    allowed=st.sampled_from([True, True, False]),
                    clone_limit=st.sampled_from([None, 3]),
                    disk_free_mib=st.sampled_from([500, 100_000]),
                )
                for id_ in range(1, 6)
            )
        )
        for version in (1, 2)
    }
)
choices_of = st.builds(
    Choices,
    leaving=st.just(frozenset({1, 2})),
    live=st.booleans(),
    late=st.booleans(),
    shuts_down=st.booleans(),
    throws_away=st.booleans(),
    brings=st.booleans(),
)


@given(guests_of, states_of, choices_of)
def test_each_has_one_outcome_with_a_reason_and_nobody_goes_where_it_may_not(
    guests: list[Guest], states: dict[int, tuple[NodeState, ...]], choices: Choices
) -> None:
    outcomes = decide(guests, states, dict.fromkeys(range(1, 6), HOST), choices)
    assert [outcome.guest_id for outcome in outcomes] == [one.id for one in guests]
    for one, outcome in zip(guests, outcomes, strict=True):
        if outcome.way in (WAIT, STAYS):
            assert outcome.reason or outcome.verdicts or not states[one.version_id]
        if outcome.way in GOING and not (one.volatile and outcome.way == SHUT_DOWN):
            assert outcome.to is not None and outcome.to not in choices.leaving | one.barred
            alone = Demand(1, one.memory_mib, one.disk_mib, one.running or one.starts)
            assert first_reason(next(s for s in states[one.version_id] if s.id == outcome.to), alone) is None
        if outcome.way == THROW_AWAY:
            assert one.volatile and choices.throws_away and not (one.running and one.in_use)
        assert outcome.way != LIVE or (choices.live and one.running and one.platform.machine)
        assert outcome.way != WAIT or not choices.late or one.busy or outcome.brings


@given(guests_of, states_of, choices_of)
def test_no_node_is_given_more_than_it_has(
    guests: list[Guest], states: dict[int, tuple[NodeState, ...]], choices: Choices
) -> None:
    memory: Counter[int] = Counter()
    disk: Counter[int] = Counter()
    clones: Counter[int] = Counter()
    for one, outcome in zip(guests, decide(guests, states, dict.fromkeys(range(6), HOST), choices), strict=True):
        if outcome.way in GOING and outcome.to is not None:
            memory[outcome.to] += one.memory_mib if one.running or one.starts else 0
            disk[outcome.to] += one.disk_mib
            clones[outcome.to] += 1
    for version in states.values():
        for state in version:
            assert memory[state.id] <= 8192
            if any(o.version_id for o in guests):
                assert clones[state.id] <= (
                    max((s.clone_limit or 25) for v in states.values() for s in v if s.id == state.id)
                )
            assert disk[state.id] <= max(s.disk_free_mib or 0 for v in states.values() for s in v if s.id == state.id)


def test_they_are_spread_and_go_where_they_were_to_go() -> None:
    states = {1: [node(1), node(2), node(3), node(4)]}
    first = decide([guest(id_) for id_ in range(9)], states, {}, LEAVING)
    assert Counter(outcome.to for outcome in first) == {2: 3, 3: 3, 4: 3}
    again = decide([guest(id_, planned=4) for id_ in range(3)], states, {}, LEAVING)
    assert [outcome.to for outcome in again] == [4, 4, 4]
    full = {1: [node(1), node(2), node(3), node(4, service_state="disabled")]}
    assert Counter(o.to for o in decide([guest(i, planned=4) for i in range(4)], full, {}, LEAVING)) == {2: 2, 3: 2}


def test_what_runs_goes_first_and_stays_where_there_is_no_room_for_it() -> None:
    states = {1: [node(1), node(2, memory_free_mib=1500)]}
    late = Choices(frozenset({1}), late=True, shuts_down=True)
    running = [guest(1, running=True), guest(2, running=True), guest(3)]
    found = decide(running, states, {}, late)
    assert ways(found) == {1: (SHUT_DOWN, 2), 2: (STAYS, None), 3: (COLD, 2)}
    assert found[1].verdicts[0].reason == Reason("memory", {"need_mib": 1024, "have_mib": 476, "reserve_mib": 0})


def test_users_may_stay_until_their_time_is_over() -> None:
    states = {1: [node(1), node(2)]}
    guests = [guest(1, running=True), guest(2, running=True, volatile=True), guest(3, volatile=True)]
    guests.append(guest(4, running=True, volatile=True, in_use=False))
    idle = {3: (THROW_AWAY, None), 4: (THROW_AWAY, None)}
    for shuts_down, late, expected in (
        (True, False, {1: (SHUT_DOWN, 2), 2: (WAIT, None)}),
        (True, True, {1: (SHUT_DOWN, 2), 2: (SHUT_DOWN, None)}),
        (False, False, {1: (WAIT, None), 2: (WAIT, None)}),
        (False, True, {1: (STAYS, None), 2: (STAYS, None)}),
    ):
        choices = Choices(frozenset({1}), shuts_down=shuts_down, late=late)
        assert ways(decide(guests, states, {}, choices)) == expected | idle


def test_live_where_the_other_host_runs_it_as_it_is() -> None:
    states = {1: [node(1), node(2), node(3)]}
    new = Host("x86_64", "qemu", frozenset({"pc-q35-10.0"}), frozenset())
    runs = guest(1, running=True, virt_type="qemu", platform=Platform("pc-q35-7.2"))
    choices = Choices(frozenset({1}), live=True)
    assert ways(decide([runs], states, {2: new, 3: HOST}, choices)) == {1: (LIVE, 3)}
    assert ways(decide([runs], states, {2: new}, choices)) == {1: (WAIT, None)}


def test_a_base_that_is_missing_is_waited_for_where_it_may_be_brought() -> None:
    states = {1: [node(1), node(2, replica=None), node(3, replica="failed"), node(4, replica=None, allowed=False)]}
    brought = decide([guest(1)], states, {}, Choices(frozenset({1}), brings=True))
    assert [(o.way, o.to, o.brings) for o in brought] == [(WAIT, 2, True)]
    kept = decide([guest(1)], states, {}, LEAVING)
    assert kept[0].way == STAYS and {v.reason.code for v in kept[0].verdicts if v.reason} == {
        "no_replica",
        "replica_not_ready",
        "not_allowed",
    }


def test_the_room_that_is_left_for_the_loss_of_a_node_is_counted_without_those_that_are_left() -> None:
    running = [Running(2, 1024, 2, frozenset({1, 2, 3}))]
    before = Cluster({1: "n1", 2: "n2", 3: "n3"}, {1: 4096, 2: 1024, 3: 1024}, running)
    assert draining.room_after(before, [], [], frozenset()) == []
    short = draining.room_after(before, [], [], frozenset({1}))
    assert [(each.node_id, each.missing_mib) for each in short] == [(2, 1024)]
    moved = guest(7, running=True)
    found = decide([moved], {1: [node(3)]}, {}, Choices(frozenset({1}), late=True, shuts_down=True))
    assert draining.room_after(before, [moved], found, frozenset({1}))[0].missing_mib == 2048


def test_two_thousand_clones_and_a_hundred_nodes_are_decided_at_once() -> None:
    states = {1: [node(id_) for id_ in range(1, 101)]}
    found = decide([guest(id_) for id_ in range(2000)], states, {}, LEAVING)
    spread = Counter(outcome.to for outcome in found)
    assert len(spread) == 99 and max(spread.values()) - min(spread.values()) <= 1
