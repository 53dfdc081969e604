"""When a node is degraded, and when it is believed to have recovered."""

from flask import Flask

from ravada_web.models import Node, Observed
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.health import GOOD_RUN, SLOW_RUN, judge


def after(node: Node, *seconds: float | None) -> list[str]:
    """The states after checks in which libvirt took so many seconds; None for one that it did not answer."""
    states = []
    for took in seconds:
        silent = took is None
        seen = Observed.DEGRADED if silent else Observed.UP
        judge(node, Answer(1, seen, "silent" if silent else "", libvirt_seconds=took, libvirt_silent=silent))
        states.append(str(node.observed))
    return states


def fresh() -> Node:
    return Node(name="n", slow_checks=0, good_checks=0, observed=Observed.UP)


def test_slow_in_five_checks_running_is_degraded_and_ten_good_ones_bring_it_back(app: Flask) -> None:
    node = fresh()
    assert after(node, *[2.5] * SLOW_RUN) == ["up"] * 4 + ["degraded"]
    assert "slow in 5 checks in a row" in str(node.reason) and "2.5 s" in str(node.reason)
    assert after(node, *[0.1] * GOOD_RUN) == ["degraded"] * 9 + ["up"]
    assert not node.reason


def test_a_bad_check_on_the_way_back_begins_the_count_anew(app: Flask) -> None:
    node = fresh()
    after(node, *[3.0] * SLOW_RUN, *[0.1] * 9, 3.0)
    assert after(node, *[0.1] * GOOD_RUN) == ["degraded"] * 9 + ["up"]


def test_four_slow_checks_are_no_trouble(app: Flask) -> None:
    assert after(fresh(), 3.0, 3.0, 3.0, 3.0, 0.1, 3.0, 3.0, 3.0, 3.0) == ["up"] * 9


def test_silence_is_degraded_at_once_and_a_short_one_is_over_at_once(app: Flask) -> None:
    assert after(fresh(), None, None, 0.1) == ["degraded", "degraded", "up"]


def test_a_long_silence_needs_ten_good_checks(app: Flask) -> None:
    assert after(fresh(), *[None] * 6, *[0.1] * GOOD_RUN) == ["degraded"] * 15 + ["up"]


def test_a_host_that_was_down_starts_with_a_clean_sheet(app: Flask) -> None:
    node = fresh()
    after(node, *[3.0] * SLOW_RUN)
    judge(node, Answer(1, Observed.DOWN, "off"))
    assert after(node, 0.1) == ["up"]
