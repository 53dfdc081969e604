"""Whose request goes to the web next: one visitor, or many who flood, do not make the others wait for all of theirs."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Waiting = OrderedDict[str, deque["asyncio.Future[None]"]]


class Turns:
    """Lets so many requests go on at once, so many of one group; the others wait, in order within their group.

    Groups take turns, and members are before guests; a quarter of the turns is for members alone.
    """

    def __init__(self, most: int, of_group: int, seconds: float) -> None:
        self._most, self._most_guests, self._of_group = most, most - most // 4, of_group
        self._seconds = seconds
        self._busy = self._busy_guests = 0
        self._busy_of: Counter[str] = Counter()
        self._waiting: dict[bool, Waiting] = {True: OrderedDict(), False: OrderedDict()}

    @asynccontextmanager
    async def turn(self, group: str, member: bool) -> AsyncIterator[None]:
        """Hold one of the turns. Raises TimeoutError when none becomes free in time."""
        await self._wait(group, member)
        try:
            yield
        finally:
            self._give_back(group, member)

    async def _wait(self, group: str, member: bool) -> None:
        waiting = self._waiting[member]
        mine = asyncio.get_running_loop().create_future()
        waiting.setdefault(group, deque()).append(mine)
        self._call_next()
        try:
            async with asyncio.timeout(self._seconds):
                await mine
        except BaseException:
            if mine.done() and not mine.cancelled():  # its turn came at the same moment
                self._give_back(group, member)
            else:
                _drop(waiting, group, mine)
            raise

    def _give_back(self, group: str, member: bool) -> None:
        self._count(group, member, -1)
        self._call_next()

    def _count(self, group: str, member: bool, change: int) -> None:
        self._busy += change
        self._busy_guests += 0 if member else change
        self._busy_of[group] += change
        if not self._busy_of[group]:
            del self._busy_of[group]

    def _call_next(self) -> None:
        while self._busy < self._most and (self._call(member=True) or self._call(member=False)):
            pass

    def _call(self, member: bool) -> bool:
        """Let the next one of these go on; False where there is none that may."""
        waiting = self._waiting[member]
        group = next((name for name in waiting if self._busy_of[name] < self._of_group), None)
        if group is None or (not member and self._busy_guests >= self._most_guests):
            return False
        mine = waiting[group][0]
        _drop(waiting, group, mine)
        if group in waiting:
            waiting.move_to_end(group)
        self._count(group, member, 1)
        mine.set_result(None)
        return True


def _drop(waiting: Waiting, group: str, mine: "asyncio.Future[None]") -> None:
    waiting[group].remove(mine)
    if not waiting[group]:
        del waiting[group]
