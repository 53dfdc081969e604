"""Which nodes rest: never more than the loss of one allows, never to and fro, and every verdict has its reason."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ravada_web.placement.resting import (
    HOURS_A_WEEK,
    LEAST_AWAKE,
    Amount,
    Decision,
    Host,
    Moment,
    Rule,
    decide,
    expected,
    replay,
    suffices,
    woken_for,
)

ALWAYS = frozenset(range(HOURS_A_WEEK))
RULE = Rule(free=0.25, settle_hours=2, allowed=ALWAYS)
QUIET = [Amount()] * HOURS_A_WEEK
ROOM = Amount(16_000, 8)


def hosts(count: int = 4, **values: object) -> list[Host]:
    return [Host(number, f"n{number}", ROOM, may_rest=True, watts=100, **values) for number in range(1, count + 1)]  # type: ignore[arg-type]


def codes(decision: Decision) -> list[str]:
    return [f"{verdict.action} {verdict.reason.code}" for verdict in decision.verdicts]


def busy(at: int, used: Amount) -> list[Amount | None]:
    return [used if hour == at else Amount() for hour in range(HOURS_A_WEEK)]


def test_a_quiet_cluster_keeps_two_awake_the_emptiest_rest_first() -> None:
    some_used = [Host(number, f"n{number}", ROOM, True, used_mib=4 - number) for number in range(1, 5)]
    decision = decide(some_used, Amount(1000, 1), QUIET, 3, RULE)
    assert codes(decision) == ["stays rest_last", "stays rest_last", "rest rests", "rest rests"]
    assert decision.wakes_above == Amount(16_000, 8)


def test_each_that_stays_says_why() -> None:
    four = hosts()
    fixed = [Host(1, "n1", ROOM, may_rest=False), *four[1:]]
    assert {*codes(decide(fixed, Amount(40_000, 1), QUIET, 3, RULE))} == {"stays rest_not_chosen", "stays rest_needed"}
    assert codes(decide(four, Amount(), busy(5, Amount(40_000, 1)), 3, RULE)) == ["stays rest_needed"] * 4
    assert codes(decide(four, Amount(), busy(9, Amount(40_000, 1)), 3, RULE)).count("rest rests") == 2
    assert codes(decide(hosts(hours=0.5), Amount(), QUIET, 3, RULE)) == ["stays rest_settling"] * 4
    gap: list[Amount | None] = [*QUIET]
    gap[5] = None
    assert codes(decide(four, Amount(), gap, 3, RULE)) == ["stays rest_unknown"] * 4
    night = Rule(0.25, 2, frozenset(range(3, 10)))
    assert codes(decide(four, Amount(), QUIET, 7, night)) == ["stays rest_hours"] * 4
    assert "rest rests" in codes(decide(four, Amount(), QUIET, 4, night))


def test_what_rests_is_woken_by_use_by_what_is_expected_and_by_the_hour() -> None:
    two_rest = [*hosts(2), Host(3, "n3", ROOM, True, awake=False), Host(4, "n4", ROOM, True, awake=False)]
    assert codes(decide(two_rest, Amount(1000, 1), QUIET, 3, RULE))[2:] == ["stays rests"] * 2
    assert codes(decide(two_rest, Amount(17_000, 1), QUIET, 3, RULE)) == [
        "stays woken_beside", "stays woken_beside", "wake wake_used", "stays rests",
    ]  # fmt: skip
    assert codes(decide(two_rest, Amount(0, 9), QUIET, 3, RULE))[2] == "wake wake_used", "processors count too"
    assert codes(decide(two_rest, Amount(), busy(4, Amount(40_000, 1)), 3, RULE))[2:] == ["wake wake_soon"] * 2
    assert codes(decide(two_rest, Amount(), busy(6, Amount(40_000, 1)), 3, RULE))[2:] == ["stays rests"] * 2
    assert (
        codes(decide(two_rest, Amount(), QUIET, 9, Rule(0.25, 2, frozenset(range(10)))))[2:] == ["wake wake_hours"] * 2
    )


def test_how_far_ahead_it_is_looked_is_as_long_as_hosts_take_to_be_up() -> None:
    asleep = [*hosts(2), Host(3, "n3", ROOM, True, awake=False)]
    for ahead, codes_then in ((0, ["stays rests"]), (1, ["wake wake_soon"])):
        rule = Rule(0.25, 2, ALWAYS, ahead_hours=ahead)
        assert codes(decide(asleep, Amount(), busy(4, Amount(20_000, 1)), 3, rule))[2:] == codes_then
        hours = Rule(0.25, 2, frozenset(range(4)), ahead_hours=ahead)
        assert codes(decide(asleep, Amount(), QUIET, 3, hours))[2:] == [("stays rests", "wake wake_hours")[ahead]]


def test_whether_one_would_be_woken_at_once_were_it_put_to_rest() -> None:
    assert woken_for(hosts(3), 3, Amount(1000, 1), QUIET, 3, RULE) is None
    for count, used, week, code in (
        (3, Amount(17_000, 1), QUIET, "wake_used"),
        (3, Amount(), busy(4, Amount(17_000, 1)), "wake_soon"),
        (2, Amount(), QUIET, "wake_used"),
    ):
        reason = woken_for(hosts(count), 2, used, week, 3, RULE)
        assert reason is not None and reason.code == code


def test_a_night_replayed_saves_what_two_hosts_take_and_is_never_short() -> None:
    used = [Amount(36_000, 4) if 8 <= hour < 18 else Amount(2000, 1) for hour in range(24)]
    week = used * 7
    moments = [Moment(hour, week[hour]) for hour in range(HOURS_A_WEEK)]
    seen = replay(hosts(), moments, week, RULE, 1.0)
    assert seen.short == () and {*seen.awake} == {2, 4}
    # From 18:00 to 07:00, when they are woken for 08:00; on the first day from midnight on, on the last until midnight.
    assert sorted(seen.rested_hours.values()) == [0, 0, 91, 91]
    assert math.isclose(seen.kwh, 18.2)
    assert [turn.action for turn in seen.turns[:4]] == ["rest", "rest", "wake", "wake"]


def test_a_rush_that_nobody_expected_is_said_to_be_short() -> None:
    moments = [Moment(hour, Amount(60_000 if hour == 50 else 0, 0)) for hour in range(60)]
    seen = replay(hosts(6), moments, QUIET, RULE, 1.0)
    assert seen.short == (50,)


amounts = some.builds(Amount, some.floats(0, 100_000), some.floats(0, 64))
machines = some.lists(
    some.builds(
        Host,
        some.just(0),
        some.just(""),
        some.builds(Amount, some.floats(1, 64_000), some.floats(1, 64)),
        some.booleans(),
        some.booleans(),
        some.floats(0, 64_000),
        some.floats(0, 10),
    ),
    max_size=8,
).map(lambda found: [Host(number, f"n{number}", *_rest(host)) for number, host in enumerate(found)])
rules = some.builds(
    Rule,
    some.floats(0, 0.9),
    some.floats(0, 12),
    some.one_of(some.just(ALWAYS), some.frozensets(some.integers(0, 167))),
)
weeks = some.lists(some.one_of(some.none(), amounts), min_size=HOURS_A_WEEK, max_size=HOURS_A_WEEK)
hours = some.integers(0, HOURS_A_WEEK - 1)


def _rest(host: Host) -> tuple[Amount, bool, bool, float, float]:
    return host.room, host.may_rest, host.awake, host.used_mib, host.hours


@given(machines, amounts, weeks, hours, rules)
@settings(max_examples=60)
def test_nothing_is_put_to_rest_that_is_needed(
    found: list[Host], used: Amount, week: list[Amount | None], hour: int, rule: Rule
) -> None:
    decision = decide(found, used, week, hour, rule)
    assert [verdict.node_id for verdict in decision.verdicts] == [host.id for host in found]
    rest, wake = {*decision.ids("rest")}, {*decision.ids("wake")}
    assert not (rest and wake)
    by_id = {host.id: host for host in found}
    assert all(by_id[id_].awake and by_id[id_].may_rest and by_id[id_].hours >= rule.settle_hours for id_ in rest)
    assert not any(by_id[id_].awake for id_ in wake)
    left = [host for host in found if (host.awake and host.id not in rest) or host.id in wake]
    if rest:
        needed, known = expected(used, week, hour, math.ceil(rule.settle_hours))
        assert known and len(left) >= LEAST_AWAKE and suffices([host.room for host in left], needed, rule.free)
        total = sum(host.room.memory_mib for host in left)
        worst = max(host.room.memory_mib for host in left)
        assert total - worst >= needed.memory_mib * 0.999, "any one may fail"
    if any(not host.awake and host.id not in wake for host in found):
        assert suffices([host.room for host in left], used, rule.free), "what still rests is not needed"


@given(some.integers(2, 6), some.lists(some.floats(0, 60_000), min_size=24, max_size=24), some.integers(1, 6))
@settings(max_examples=60)
def test_no_node_changes_twice_within_its_rest_while_use_is_as_expected(
    count: int, day: list[float], settle: int
) -> None:
    week: list[Amount | None] = [Amount(used, 0) for used in day] * 7
    moments = [Moment(hour, Amount(day[hour % 24], 0)) for hour in range(HOURS_A_WEEK)]
    seen = replay(hosts(count), moments, week, Rule(0.2, settle, ALWAYS), 1.0)
    last: dict[int, int] = {}
    for turn in seen.turns:
        assert turn.step - last.get(turn.node_id, -settle) >= settle
        last[turn.node_id] = turn.step
    assert min(seen.awake) >= LEAST_AWAKE
    assert seen.short == (), "what was expected was always woken for in time"


@pytest.mark.parametrize("hour", [0, 167])
def test_the_week_goes_round(hour: int) -> None:
    assert expected(Amount(), busy(1, Amount(7, 7)), hour, 2) == (Amount(7, 7), True)


def test_a_thousand_nodes_are_replayed() -> None:
    """So that a page can show it: what is looked at in a step grows with the nodes, not with their square."""
    used = [Amount(8_000_000 if 8 <= hour < 18 else 1_000_000, 0) for hour in range(24)] * 7
    moments = [Moment(hour, used[hour]) for hour in range(48)]
    seen = replay(hosts(1000), moments, used, RULE, 1.0)
    assert seen.short == () and (min(seen.awake), max(seen.awake)) == (92, 667)
