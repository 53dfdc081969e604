"""Who stands still is judged fairly: not while this process, or what the others wait for, did not go on either."""

import os
import socket
from collections.abc import Iterator

import pytest

from jobs.supervision import BEGIN_SECONDS, KILL_SECONDS, Child, Watch
from ravada_web import beats
from ravada_web.beats import STILL_SECONDS, Board


class Clock:
    """The monotonic clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class House:
    """Redis, which is asked, and two processes that beat unless they are stopped."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.stopped = clock, set[str]()
        redis = Child("redis", lambda: None, answers=lambda: "redis" not in self.stopped)
        self.children = [redis, Child("ticker", lambda: None), Child("links", lambda: None)]
        self.board = Board([child.name for child in self.children])
        self.board.begin(beats.PARENT)
        for child in self.children:
            self.start(child)
        self.watch = Watch(self.children, self.board)

    def start(self, child: Child) -> None:
        child.pid = os.getpid()
        self.board.begin(child.name)

    def pass_time(self, seconds: float) -> list[str]:
        """Go on second by second; returns who was killed, each started again at once."""
        killed = []
        for _second in range(round(seconds)):
            self.clock.now += 1
            self.board.beat(beats.PARENT)
            for child in self.children:
                if child.name not in self.stopped and not child.answers:
                    self.board.beat(child.name)
            for child in self.watch.look(self.clock.now):
                killed.append(child.name)
                self.start(child)
        return killed

    def still(self) -> list[str]:
        return [process.name for process in self.board.processes() if process.still]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    clock = Clock()
    monkeypatch.setattr(beats, "time", clock)
    yield House(clock)


def test_one_that_stands_still_is_named_in_time_then_killed_and_well_again(house: House) -> None:
    assert house.pass_time(60) == [] and house.still() == []
    house.stopped.add("ticker")
    assert house.pass_time(STILL_SECONDS + 2) == [] and house.still() == ["ticker"]
    assert house.pass_time(KILL_SECONDS - STILL_SECONDS) == ["ticker"]
    house.stopped.clear()
    assert house.pass_time(2) == [] and house.still() == []


def test_while_redis_stands_still_nobody_else_is_blamed_or_killed_for_it(house: House) -> None:
    house.pass_time(5)
    house.stopped |= {"redis", "links", "ticker"}
    assert house.pass_time(STILL_SECONDS + 2) == [] and house.still() == ["redis"]
    assert house.pass_time(KILL_SECONDS - STILL_SECONDS) == ["redis"]
    house.stopped = set()
    assert house.pass_time(60) == [] and house.still() == []


def test_after_a_redis_that_was_away_the_others_have_their_time_again(house: House) -> None:
    house.stopped |= {"redis", "links"}
    house.pass_time(KILL_SECONDS + 1)
    house.stopped = {"links"}
    assert house.pass_time(STILL_SECONDS - 2) == [] and house.still() == []
    assert house.pass_time(4) == [] and house.still() == ["links"]


def test_a_host_that_slept_blames_nobody(house: House) -> None:
    house.pass_time(5)
    house.clock.now += 3600
    assert house.pass_time(1) == [] and house.still() == []


def test_one_that_has_only_just_begun_is_given_longer(house: House) -> None:
    house.stopped.add("links")
    house.start(house.children[2])
    assert house.pass_time(BEGIN_SECONDS - 1) == [] and house.still() == ["links"]
    assert house.pass_time(4) == ["links"]


def test_a_parent_that_stands_still_is_named_by_the_others(house: House) -> None:
    house.pass_time(5)
    house.clock.now += STILL_SECONDS + 1
    assert house.still() == [beats.PARENT]


def test_a_process_that_was_started_alone_has_nobody_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats._Here, "board", None)
    beats.beat()
    assert beats.processes() == []


def test_systemd_hears_of_the_parent_and_of_who_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"@ravada-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address.replace("@", "\0"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        for name, board, heard in (("", None, True), (beats.PARENT, Board([]), True), ("web", Board(["web"]), False)):
            monkeypatch.setattr(beats._Here, "name", name)
            monkeypatch.setattr(beats._Here, "board", board)
            beats.beat()
            if heard:
                assert systemd.recv(100) == b"READY=1\nWATCHDOG=1", name
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
    monkeypatch.setattr(beats._Here, "name", beats.PARENT)
    beats.beat()  # nobody hears it any more
