"""Who may stay at the door: connections, and the bytes that they make us keep, counted by visitor and in all.

A visitor who means it sends a request at once and takes the answer at once. So whoever is half done, idle, or slow to
take makes room for others, the oldest first, and nobody is turned away for what another one behind the same address
leaves undone. Those who have shown a session of ours are counted by it, apart from all others, who leave them a
quarter of the door; its signature is enough for that: what it allows is for the pages to say.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from ravada_web.addresses import counted


class Stage(Enum):
    """Where a connection stands: HALF of a request has come, or nothing yet; we are at WORK on it; we SEND what is left
    of the answer; or it was answered, and RESTs until the next one."""

    HALF = auto()
    WORK = auto()
    SEND = auto()
    REST = auto()


@dataclass(eq=False)
class Place:
    """One connection. `group` is what it is counted with ("" for nothing), `member` whether that is a session, `home`
    what it is counted with before it says whom it is from, `held` the bytes that are kept for it; `close` ends it."""

    close: Callable[[], object]
    home: str
    group: str
    member: bool = False
    stage: Stage = Stage.HALF
    held: int = 0


@dataclass(frozen=True)
class Bounds:
    """How many connections there may be at each stage, and bytes kept for them."""

    half: int
    work: int
    send: int
    count: int
    held: int

    def at(self, stage: Stage) -> int:
        """How many there may be at that stage."""
        return {Stage.HALF: self.half, Stage.WORK: self.work, Stage.SEND: self.send}.get(stage, self.count)


# An address, or a /64 of IPv6, may be a school: 300 people behind one, some connections each.
OF_ADDRESS = Bounds(half=256, work=1000, send=256, count=2000, held=64 << 20)
# A person's pages, their streams and consoles, in one browser.
OF_SESSION = Bounds(half=64, work=64, send=64, count=128, held=32 << 20)
HELD_IN_ALL = 256 << 20


@dataclass
class _Pile:
    """Some connections, by their stage, the oldest first."""

    bounds: Bounds
    held: int = 0
    at: dict[Stage, OrderedDict[Place, None]] = field(default_factory=lambda: {stage: OrderedDict() for stage in Stage})

    def count(self) -> int:
        return sum(map(len, self.at.values()))

    def add(self, place: Place) -> None:
        self.at[place.stage][place] = None
        self.held += place.held

    def remove(self, place: Place) -> None:
        del self.at[place.stage][place]
        self.held -= place.held

    def oldest(self, *stages: Stage) -> Place | None:
        return next((next(iter(self.at[stage])) for stage in stages if self.at[stage]), None)

    def surplus(self, stage: Stage) -> Place | None:
        """Who goes when another one comes to that stage; None where there is room."""
        if len(self.at[stage]) >= self.bounds.at(stage):
            return self.oldest(stage)
        if self.count() >= self.bounds.count:
            return self.oldest(Stage.REST, Stage.HALF, Stage.SEND)
        return None


@dataclass
class _Hall:
    """Members, or guests: all of them, and by group."""

    of_group: Bounds
    whole: _Pile
    groups: dict[str, _Pile] = field(default_factory=dict)


class Crowd:
    """All connections of this gateway, at most so many."""

    def __init__(self, most: int) -> None:
        quarter = most // 4
        self._most = most
        self._guests = _Hall(OF_ADDRESS, _Pile(Bounds(2 * quarter, 2 * quarter, quarter, 3 * quarter, HELD_IN_ALL)))
        self._members = _Hall(OF_SESSION, _Pile(Bounds(most, most, most, most, HELD_IN_ALL)))
        self._all: set[Place] = set()

    def enter(self, address: str, close: Callable[[], object]) -> Place | None:
        """Count a connection that has come from there, and make room for it; None where there is none.

        `address` is "" for a trusted proxy: it stands for many, and has bounds of its own.
        """
        place = Place(close, counted(address), counted(address))
        self._make_room(place)
        if len(self._all) >= self._most and not self._turn_out(self._to_spare()):
            return None
        self._all.add(place)
        self._put(place)
        return place

    def leave(self, place: Place) -> None:
        """The connection has ended; twice is once."""
        if place in self._all:
            self._take(place)
            self._all.remove(place)

    def recognise(self, place: Place, session: str, address: str) -> None:
        """Whose request it brings: count it with that session, where it has one, or else with that address."""
        if place in self._all:
            self._take(place)
            place.group, place.member = (session, True) if session else (counted(address), False)
            self._make_room(place)
            self._put(place)

    def move(self, place: Place, stage: Stage) -> bool:
        """The connection has come to that stage, its youngest one. False where too many of its kind are at WORK."""
        if place not in self._all:
            return True
        self._take(place)
        full = stage is Stage.WORK and self._is_at_work(place)
        if stage is Stage.REST and not place.home:
            place.group, place.member = "", False
        if not full:
            place.stage = stage
            self._make_room(place)
        self._put(place)
        return not full

    def hold(self, place: Place, size: int) -> None:
        """So many bytes are kept for it now; where that is too much, those go for whom they were kept the longest."""
        if place not in self._all:
            return
        self._take(place)
        place.held = size
        self._put(place)
        for pile in self._piles(place):
            while pile.held > pile.bounds.held and self._turn_out(pile.oldest(Stage.SEND, Stage.HALF, Stage.WORK)):
                pass

    def _is_at_work(self, place: Place) -> bool:
        return any(len(pile.at[Stage.WORK]) >= pile.bounds.work for pile in self._piles(place))

    def _make_room(self, place: Place) -> None:
        for pile in self._piles(place):
            self._turn_out(pile.surplus(place.stage))

    def _to_spare(self) -> Place | None:
        """Who goes where the door is full: guests first."""
        guests = self._guests.whole.oldest(Stage.REST, Stage.HALF, Stage.SEND)
        return guests or self._members.whole.oldest(Stage.REST, Stage.HALF)

    def _turn_out(self, place: Place | None) -> bool:
        if place is not None:
            self.leave(place)
            place.close()
        return place is not None

    def _piles(self, place: Place) -> tuple[_Pile, ...]:
        """What it is counted in: with its own, and with all of its kind."""
        if not place.group:
            return ()
        hall = self._hall(place)
        return hall.groups.get(place.group) or _Pile(hall.of_group), hall.whole

    def _hall(self, place: Place) -> _Hall:
        return self._members if place.member else self._guests

    def _put(self, place: Place) -> None:
        if place.group:
            hall = self._hall(place)
            hall.groups.setdefault(place.group, _Pile(hall.of_group)).add(place)
            hall.whole.add(place)

    def _take(self, place: Place) -> None:
        if place.group:
            hall = self._hall(place)
            hall.whole.remove(place)
            hall.groups[place.group].remove(place)
            if not hall.groups[place.group].count():
                del hall.groups[place.group]
