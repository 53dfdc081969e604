"""When a pool will be full: a line through its use, and silence where there is none."""

import random

import pytest

from ravada_web.services.storage.forecast import DAY, days_to_full


def growing(hours: int, mib_a_day: float, start: float = 1000, noise: float = 0) -> list[tuple[float, float]]:
    chance = random.Random(7)
    return [(hour * 3600.0, start + mib_a_day * hour / 24 + chance.uniform(-noise, noise)) for hour in range(hours + 1)]


@pytest.mark.parametrize(("mib_a_day", "days"), [(100, 88), (1000, 7), (9000, 0)])
def test_steady_growth_tells_the_days(mib_a_day: float, days: float) -> None:
    found = days_to_full(growing(48, mib_a_day), 10_000)
    assert found is not None and round(found) == days


def test_noise_around_growth_does_not_hide_it() -> None:
    found = days_to_full(growing(96, 500, noise=100), 11_000)
    assert found == pytest.approx((11_000 - 3000) / 500, rel=0.1)


@pytest.mark.parametrize(
    "points",
    [
        [],
        growing(5, 1000),
        growing(48, 0),
        growing(48, -500, start=5000),
        growing(48, 10, noise=300),
        growing(48, 1),
    ],
    ids=["nothing", "too short", "level", "emptying", "noise alone", "years off"],
)
def test_where_nothing_can_be_told_nothing_is(points: list[tuple[float, float]]) -> None:
    assert days_to_full(points, 10_000) is None


def test_a_line_needs_time_in_it() -> None:
    assert days_to_full([(0.0, 1.0), (1.0, 2.0), (DAY / 5, 3.0)], 10) is None
