"""Who has to go when too many are at the door, and that nobody else does."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ravada_web.gateway.crowd import OF_ADDRESS, OF_SESSION, Crowd, Place, Stage

MOST = 1200


class Door:
    """A crowd, and who was closed."""

    def __init__(self, most: int = MOST) -> None:
        self.crowd = Crowd(most)
        self.closed: list[Place] = []

    def come(self, address: str, stage: Stage = Stage.HALF, session: str = "") -> Place | None:
        """A connection from there, at that stage."""
        place = self.crowd.enter(address, lambda: self.closed.append(place))  # type: ignore[arg-type]
        if place is not None:
            self.crowd.recognise(place, session, address)
            self.crowd.move(place, stage)
        return place


@pytest.mark.parametrize("stage", [Stage.HALF, Stage.SEND])
def test_the_oldest_of_an_address_that_is_slow_makes_room_and_no_other(stage: Stage) -> None:
    door = Door()
    elsewhere, working = door.come("192.0.2.2", stage), door.come("192.0.2.1", Stage.WORK)
    slow = [door.come("192.0.2.1", stage) for _number in range(OF_ADDRESS.half)]
    assert not door.closed
    door.come("192.0.2.1", stage)
    assert door.closed == slow[:1] and elsewhere not in door.closed and working not in door.closed


def test_a_network_of_ipv6_is_one_visitor() -> None:
    door = Door()
    for number in range(OF_ADDRESS.half + 10):
        door.come(f"2001:db8::{number:x}")
    assert len(door.closed) == 10


def test_who_comes_back_to_a_connection_that_was_kept_is_half_done_too() -> None:
    door = Door()
    kept = [door.come("192.0.2.1", Stage.REST) for _number in range(OF_ADDRESS.half + 5)]
    for place in kept:
        assert place is not None
        door.crowd.move(place, Stage.HALF)
    assert door.closed == kept[:5]


def test_the_world_of_slow_ones_leaves_room_for_everybody() -> None:
    door = Door()
    for number in range(3 * MOST):
        assert door.come(f"198.51.{number % 100}.{number % 250}") is not None
    assert len(door.closed) >= 3 * MOST - MOST // 2
    member = door.come("192.0.2.1", Stage.WORK, "alice")
    guest = door.come("192.0.2.2", Stage.WORK)
    assert member and guest and member not in door.closed and guest not in door.closed


def test_too_many_whole_requests_of_one_address_are_refused_and_members_are_not() -> None:
    door = Door(4 * OF_ADDRESS.work)
    for _number in range(OF_ADDRESS.work):
        door.come("192.0.2.1", Stage.WORK)
    late, member = door.come("192.0.2.1"), door.come("192.0.2.1", Stage.HALF, "alice")
    assert late and member
    assert not door.crowd.move(late, Stage.WORK) and door.crowd.move(member, Stage.WORK)
    assert not door.closed


def test_a_quarter_is_kept_for_members() -> None:
    door = Door()
    for number in range(2 * MOST):
        place = door.come(f"198.51.{number % 100}.{number % 250}", Stage.REST)
        assert place is not None
    closed = len(door.closed)
    members = [door.come("192.0.2.1", Stage.WORK, f"person {number}") for number in range(MOST // 4)]
    # One of them at a time is a guest, until it has said who it is.
    assert all(members) and len(door.closed) == closed + 1


def test_one_session_has_its_bounds_too() -> None:
    door = Door()
    for _number in range(OF_SESSION.work):
        door.come("192.0.2.1", Stage.WORK, "mallory")
    more = door.come("192.0.2.9", Stage.HALF, "mallory")
    assert more and not door.crowd.move(more, Stage.WORK)


def test_when_all_is_full_idle_ones_go_before_others() -> None:
    door = Door(100)
    working = [door.come("192.0.2.1", Stage.WORK, f"person {number}") for number in range(98)]
    idle = door.come("192.0.2.1", Stage.REST, "bob")
    half = door.come("192.0.2.3")
    newcomer = door.come("192.0.2.4", Stage.WORK, "carol")
    assert newcomer and door.closed == [half]
    assert door.come("192.0.2.5", Stage.WORK, "dave") and door.closed == [half, idle]
    assert door.come("192.0.2.6") is None and len(working) == 98


def test_bytes_that_are_kept_for_the_slow_are_bounded() -> None:
    door = Door()
    slow = [door.come("192.0.2.1", Stage.SEND) for _number in range(100)]
    other = door.come("192.0.2.2", Stage.SEND)
    assert other is not None
    door.crowd.hold(other, 1 << 20)
    for place in slow:
        assert place is not None
        door.crowd.hold(place, 1 << 20)
    kept = OF_ADDRESS.held >> 20
    assert len(door.closed) == len(slow) - kept and other not in door.closed


def test_a_proxy_stands_for_many() -> None:
    door = Door()
    places = [door.crowd.enter("", lambda: None) for _number in range(OF_ADDRESS.half + 10)]
    for place, _next in pairwise(places):
        assert place is not None
        door.crowd.recognise(place, "", "192.0.2.1")
        assert place.group == "192.0.2.1"
        door.crowd.move(place, Stage.WORK)
        door.crowd.move(place, Stage.REST)
        assert place.group == ""


STEPS = st.lists(
    st.tuples(st.sampled_from(["enter", "leave", "move", "recognise", "hold"]), st.integers(0, 30), st.integers(0, 3)),
    max_size=120,
)


@given(STEPS)
def test_the_books_are_right_after_whatever_comes(steps: list[tuple[str, int, int]]) -> None:
    door = Door(16)
    places: list[Place] = []
    for what, number, choice in steps:
        if what == "enter":
            if place := door.crowd.enter(["", "192.0.2.1", "192.0.2.2", "2001:db8::1"][choice], lambda: None):
                places.append(place)
        elif places:
            place = places[number % len(places)]
            if what == "leave":
                door.crowd.leave(place)
            elif what == "move":
                door.crowd.move(place, list(Stage)[choice])
            elif what == "recognise":
                door.crowd.recognise(place, ["", "alice", "bob", ""][choice], f"192.0.2.{choice}")
            else:
                door.crowd.hold(place, choice << 26)
    for place in places:
        door.crowd.leave(place)
    assert vars(door.crowd) == vars(Crowd(16))
