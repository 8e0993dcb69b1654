"""What was found out a moment ago: for how long it holds, and for whom."""

from __future__ import annotations

import asyncio

import pytest
from service.recently import Recently

LONG, SHORT = 60.0, 0.02


class Check:
    """Counts how often it is made, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = False

    async def __call__(self) -> None:
        self.made += 1
        await asyncio.sleep(0)
        if self.fails:
            raise RuntimeError("not now")


async def test_all_who_ask_at_once_share_a_check() -> None:
    check, recently = Check(), Recently(LONG)
    await asyncio.gather(*(recently.ask(check) for _ in range(10)))
    assert check.made == 1


async def test_a_fault_is_told_to_all_who_ask_and_then_looked_for_again() -> None:
    check, recently = Check(), Recently(SHORT)
    check.fails = True
    told = await asyncio.gather(*(recently.ask(check) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in told] == ["not now"] * 3
    assert check.made == 1

    check.fails = False
    await asyncio.sleep(2 * SHORT)
    await recently.ask(check)
    assert check.made == 2


async def test_who_is_cancelled_leaves_the_check_to_the_next() -> None:
    check, recently = Check(), Recently(LONG)
    first = asyncio.create_task(recently.ask(check))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await recently.ask(check)
    assert check.made == 2
