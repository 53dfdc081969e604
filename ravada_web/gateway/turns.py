"""How much one address may keep us busy with at a time: a slow or hostile visitor does not block others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Lets so many requests of an address go on at once; the others wait for their turn, in order."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._places: dict[str, asyncio.Semaphore] = {}
        self._here: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Hold one of the address's places. Raises TimeoutError when none becomes free in time."""
        place = self._places.setdefault(address, asyncio.Semaphore(self._most))
        self._here[address] += 1
        try:
            await asyncio.wait_for(place.acquire(), self._seconds)
            try:
                yield
            finally:
                place.release()
        finally:
            self._here[address] -= 1
            if not self._here[address]:
                del self._here[address], self._places[address]
