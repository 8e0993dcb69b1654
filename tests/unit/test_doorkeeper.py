"""Who may begin when many come at once."""

from __future__ import annotations

import asyncio
import time

from service.server.http1 import Doorkeeper


class Transport(asyncio.BaseTransport):
    """Of a client that is there, or has left."""

    def __init__(self, *, left: bool) -> None:
        super().__init__()
        self._left = left

    def is_closing(self) -> bool:
        """Tell whether the client has left."""
        return self._left


HERE, LEFT = Transport(left=False), Transport(left=True)


async def entering(doorkeeper: Doorkeeper, count: int) -> tuple[list[int], float]:
    """Have so many come at once; return the order in which they got in, and the seconds until the last one did."""
    entered: list[int] = []

    async def come(number: int) -> None:
        await doorkeeper.enter(HERE)
        entered.append(number)

    began = time.monotonic()
    await asyncio.gather(*(come(number) for number in range(count)))
    return entered, time.monotonic() - began


async def test_whoever_comes_alone_goes_in_at_once() -> None:
    coming = asyncio.ensure_future(Doorkeeper().enter(HERE))
    await asyncio.sleep(0)

    assert coming.done()


async def test_a_handful_waits_for_one_tick_at_most() -> None:
    doorkeeper = Doorkeeper()
    await doorkeeper.enter(HERE)
    coming = [asyncio.ensure_future(doorkeeper.enter(HERE)) for _ in range(Doorkeeper.HANDFUL)]
    await asyncio.sleep(0)
    assert not any(turn.done() for turn in coming)

    await coming[0]
    await asyncio.sleep(0)

    assert all(turn.done() for turn in coming)


async def test_a_crowd_goes_in_one_by_one_in_the_order_in_which_it_came() -> None:
    order, seconds = await entering(Doorkeeper(), 120)

    assert order == list(range(120))
    assert seconds >= (120 - 2 - Doorkeeper.HANDFUL) * Doorkeeper.SECONDS_EACH * 0.8


async def test_a_busy_loop_keeps_nobody_outside_for_longer() -> None:
    doorkeeper = Doorkeeper()
    await doorkeeper.enter(HERE)
    coming = [asyncio.ensure_future(doorkeeper.enter(HERE)) for _ in range(200)]
    await asyncio.sleep(0)

    time.sleep(50 * Doorkeeper.SECONDS_EACH)  # noqa: ASYNC251 - the loop is to be busy
    await coming[0]
    await asyncio.sleep(0)

    assert sum(turn.done() for turn in coming) >= 50
    await asyncio.gather(*coming)


async def test_the_larger_a_crowd_the_more_go_in_at_a_time() -> None:
    order, seconds = await entering(Doorkeeper(), 6 * Doorkeeper.CROWD)

    assert order == list(range(6 * Doorkeeper.CROWD))
    assert seconds < 6 * Doorkeeper.CROWD * Doorkeeper.SECONDS_EACH * 0.8


async def test_who_has_left_meanwhile_keeps_nobody_outside() -> None:
    doorkeeper = Doorkeeper()
    await doorkeeper.enter(HERE)
    leaving, staying = (asyncio.ensure_future(doorkeeper.enter(HERE)) for _ in range(2))
    await asyncio.sleep(0)

    leaving.cancel()

    await asyncio.wait_for(staying, 1)
    assert leaving.cancelled()


async def test_a_crowd_that_has_left_is_waited_for_by_nobody() -> None:
    doorkeeper = Doorkeeper()
    await doorkeeper.enter(HERE)
    left = [asyncio.ensure_future(doorkeeper.enter(LEFT)) for _ in range(300)]
    staying = asyncio.ensure_future(doorkeeper.enter(HERE))

    await left[0]
    await asyncio.sleep(0)

    assert all(turn.done() for turn in [*left, staying])


async def test_after_a_crowd_whoever_comes_alone_goes_in_at_once_again() -> None:
    doorkeeper = Doorkeeper()
    await entering(doorkeeper, 100)
    await asyncio.sleep(3 * Doorkeeper.SECONDS_EACH)

    coming = asyncio.ensure_future(doorkeeper.enter(HERE))
    await asyncio.sleep(0)

    assert coming.done()
