"""What is told of a host: each trouble once, its end once it has lasted; and its disk by the marks of a pool."""

import pytest

from jobs.herald import News
from ravada_web.messages import text
from ravada_web.models import Level
from ravada_web.services.storage.data_disk import Disk

STILL, FULL = text("the ticker stands still"), text("the disk is full")


def test_a_trouble_is_told_once_and_its_end_when_it_has_lasted() -> None:
    news = News(settle=120)
    assert news.take({"ticker": STILL}, 0) == [STILL]
    assert news.take({"ticker": STILL, "disk": FULL}, 1) == [FULL]
    assert news.take({"disk": FULL}, 2) == []
    assert news.take({"ticker": STILL, "disk": FULL}, 100) == [], "it flaps: nothing new"
    assert news.take({"disk": FULL}, 110) == []
    (over,) = news.take({"disk": FULL}, 231)
    assert (over.kind, over.figures["before"]) == ("alerts.over", STILL)
    assert news.take({"ticker": STILL, "disk": FULL}, 232) == [STILL]


@pytest.mark.parametrize(
    ("free_mib", "level"),
    [(50_000, Level.OK), (21_000, Level.OK), (20_000, Level.WARNING), (10_000, Level.CRITICAL), (0, Level.CRITICAL)],
)
def test_the_disk_has_the_marks_of_a_new_pool(free_mib: int, level: Level) -> None:
    assert Disk(total_mib=100_000, free_mib=free_mib, floor_mib=1024).level == level


def test_below_its_floor_a_large_disk_is_critical() -> None:
    assert Disk(total_mib=1 << 30, free_mib=1024, floor_mib=1024).level == Level.CRITICAL
