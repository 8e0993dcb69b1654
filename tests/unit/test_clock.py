"""A limit of time that is moved: when it rings, and whom it leaves alone."""

from __future__ import annotations

import asyncio

import pytest
from service.clock import Clock

SOON, LATER = 0.02, 60.0


async def test_it_rings_when_its_time_has_passed() -> None:
    with pytest.raises(TimeoutError), Clock(SOON) as clock:
        await asyncio.sleep(LATER)
    assert clock.rang
    assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]  # there is one


@pytest.mark.parametrize(("first", "moved"), [(SOON, 2 * SOON), (LATER, SOON)], ids=["later", "earlier"])
async def test_it_rings_at_the_time_to_which_it_was_moved(first: float, moved: float) -> None:
    async def wait() -> None:
        with Clock(first) as clock:
            clock.set(moved)
            await asyncio.sleep(LATER)

    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await wait()
    assert asyncio.get_running_loop().time() - began >= moved


async def test_who_is_done_in_time_hears_nothing() -> None:
    with Clock(SOON) as clock:
        pass
    clock.set(0)
    await asyncio.sleep(2 * SOON)
    assert not clock.rang


async def test_a_cancellation_from_outside_is_no_time_out() -> None:
    async def wait() -> None:
        with Clock(LATER):
            await asyncio.sleep(LATER)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
