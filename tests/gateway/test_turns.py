"""Whose request is next: in turn by visitor, members first, and nothing is lost when somebody gives up."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from ravada_web.gateway.turns import Turns

PATIENT = 30.0


async def take(turns: Turns, order: list[str], group: str, member: bool = False) -> None:
    """Wait for a turn, note it, and give it back."""
    async with turns.turn(group, member):
        order.append(group)


async def asked(turns: Turns, *groups: str, member: bool = False) -> tuple[list[str], list["asyncio.Task[None]"]]:
    """Everybody waits, in this order."""
    order: list[str] = []
    tasks = [asyncio.create_task(take(turns, order, group, member)) for group in groups]
    await asyncio.sleep(0)
    return order, tasks


def test_groups_take_turns() -> None:
    async def run() -> list[str]:
        turns = Turns(1, 1, PATIENT)
        async with turns.turn("first", True):
            order, tasks = await asked(turns, "a", "a", "a", "b", "c", "b", member=True)
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(run()) == ["a", "b", "c", "a", "b", "a"]


def test_members_go_first_and_guests_leave_them_room() -> None:
    async def run() -> tuple[list[str], list[str]]:
        turns = Turns(4, 4, PATIENT)
        async with AsyncExitStack() as held:
            for _number in range(3):
                await held.enter_async_context(turns.turn("a crowd", False))
            guests, tasks = await asked(turns, "a crowd", "another")
            members, more = await asked(turns, "alice", "bob", member=True)
            await asyncio.gather(*more)
            assert not guests
        await asyncio.gather(*tasks)
        return guests, members

    assert asyncio.run(run()) == (["a crowd", "another"], ["alice", "bob"])


def test_one_group_does_not_have_all_turns() -> None:
    async def run() -> None:
        turns = Turns(8, 2, PATIENT)
        async with turns.turn("a", True), turns.turn("a", True):
            waiting, tasks = await asked(turns, "a", member=True)
            async with turns.turn("b", True):
                assert not waiting
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_who_gives_up_leaves_nothing_behind() -> None:
    async def run() -> None:
        turns = Turns(1, 1, 0.01)
        async with turns.turn("a", True):
            with pytest.raises(TimeoutError):
                async with turns.turn("b", True):
                    pass
            _order, tasks = await asked(turns, "c", member=True)
            tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with turns.turn("d", True):
            pass
        assert vars(turns) == vars(Turns(1, 1, 0.01))

    asyncio.run(run())
