"""Who may begin when many come at once."""

from __future__ import annotations

import asyncio
import itertools
import time

from service.server.doorkeeper import Doorkeeper


def come(doorkeeper: Doorkeeper, count: int) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(doorkeeper.enter()) for _ in range(count)]


async def turn() -> None:
    """Let the loop go round once."""
    await asyncio.sleep(0)


async def test_whoever_comes_alone_begins_two_turns_later() -> None:
    (coming,) = come(Doorkeeper(), 1)
    for _ in range(3):
        await turn()
    assert coming.done()


async def test_a_crowd_begins_one_a_turn_in_the_order_in_which_it_came() -> None:
    doorkeeper, began = Doorkeeper(), list[int]()

    async def begin(number: int) -> None:
        await doorkeeper.enter()
        began.append(number)

    coming = asyncio.gather(*(begin(number) for number in range(100)))
    sizes = [0]
    while not coming.done():
        await turn()
        sizes.append(len(began))

    assert began == list(range(100))
    assert max(after - before for before, after in itertools.pairwise(sizes)) <= 2


async def test_the_loop_goes_on_for_others_between_two_of_them() -> None:
    doorkeeper = Doorkeeper()
    crowd = come(doorkeeper, 100)
    for _ in range(20):
        await turn()
    assert 10 <= sum(coming.done() for coming in crowd) <= 20
    await asyncio.gather(*crowd)


async def test_a_busy_loop_shuts_nobody_out() -> None:
    doorkeeper = Doorkeeper()
    crowd = come(doorkeeper, 100)
    await turn()
    time.sleep(20 * Doorkeeper.SECONDS_EACH)  # noqa: ASYNC251 - the loop is to be busy
    await turn()
    await turn()
    assert 20 <= sum(coming.done() for coming in crowd) <= 30
    await asyncio.gather(*crowd)


async def test_who_has_left_meanwhile_takes_no_turn() -> None:
    doorkeeper = Doorkeeper()
    crowd = come(doorkeeper, 101)
    await turn()
    for coming in crowd[:100]:
        coming.cancel()
    for _ in range(4):
        await turn()
    assert crowd[100].done()


async def test_a_second_crowd_is_treated_as_the_first_one() -> None:
    doorkeeper = Doorkeeper()
    await asyncio.gather(*come(doorkeeper, 50))
    await asyncio.sleep(0.1)  # it owes nobody the time in which nobody came
    crowd = come(doorkeeper, 50)
    for _ in range(5):
        await turn()
    assert sum(coming.done() for coming in crowd) <= 5
    await asyncio.gather(*crowd)
