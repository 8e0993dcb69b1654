"""Who may begin when many come at once."""

from __future__ import annotations

import asyncio
import itertools
import time

from service.server.doorkeeper import Doorkeeper

LINE = b"/"


def come(doorkeeper: Doorkeeper, count: int, line: bytes = LINE) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(doorkeeper.enter(line)) for _ in range(count)]


def inside(crowd: list[asyncio.Task[None]]) -> int:
    return sum(coming.done() for coming in crowd)


async def turns(count: int) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_whoever_comes_alone_goes_in_at_once() -> None:
    doorkeeper = Doorkeeper()
    for _ in range(3):
        crowd = come(doorkeeper, 1)
        await turns(1)
        assert inside(crowd) == 1
        await turns(2)


async def test_a_crowd_begins_little_by_little_in_the_order_in_which_it_came() -> None:
    doorkeeper, began = Doorkeeper(), list[int]()

    async def begin(number: int) -> None:
        await doorkeeper.enter(LINE)
        began.append(number)
        time.sleep(0.0005)  # noqa: ASYNC251 - it is work

    coming = asyncio.gather(*(begin(number) for number in range(100)))
    sizes = [0]
    while not coming.done():
        await turns(1)
        sizes.append(len(began))

    assert began == list(range(100))
    assert max(after - before for before, after in itertools.pairwise(sizes)) <= 3


async def test_more_begin_in_a_turn_where_that_is_little_work() -> None:
    doorkeeper = Doorkeeper()
    crowd = come(doorkeeper, 1000)
    await turns(100)
    assert inside(crowd) > 150
    await asyncio.gather(*crowd)


async def test_what_is_cheap_gets_no_more_than_its_part_of_a_turn() -> None:
    doorkeeper = Doorkeeper()
    crowd = come(doorkeeper, 1000)
    for _ in range(10):
        doorkeeper.begun += 100  # those inside
        time.sleep(0.02)  # noqa: ASYNC251 - they have taken 0.2 ms each
        await turns(1)
    assert 20 <= inside(crowd) <= 100
    for coming in crowd:
        coming.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)


async def test_a_crowd_in_one_line_makes_no_other_line_wait() -> None:
    doorkeeper = Doorkeeper()
    crowd = come(doorkeeper, 500, b"/login")
    others = [*come(doorkeeper, 2, b"/me"), *come(doorkeeper, 1, b"/users")]
    await turns(6)
    assert inside(others) == 3
    assert inside(crowd) <= 100
    await asyncio.gather(*crowd)


async def test_lines_take_turns_however_many_there_are() -> None:
    doorkeeper = Doorkeeper()
    crowds = [come(doorkeeper, 5, b"/%d" % number) for number in range(40)]
    sizes = [0]
    while sizes[-1] < 200:
        await turns(1)
        sizes.append(sum(map(inside, crowds)))
        assert max(map(inside, crowds)) - min(map(inside, crowds)) <= 2


async def test_a_busy_loop_shuts_nobody_out() -> None:
    doorkeeper = Doorkeeper()
    crowd = come(doorkeeper, 100)
    await turns(1)
    time.sleep(20 * Doorkeeper.SECONDS_EACH)  # noqa: ASYNC251 - the loop is to be busy
    await turns(2)
    assert 20 <= inside(crowd) <= 30
    await asyncio.gather(*crowd)


async def test_who_was_cancelled_meanwhile_takes_no_turn() -> None:
    doorkeeper = Doorkeeper()
    crowd = come(doorkeeper, 101)
    await turns(1)
    for coming in crowd[:100]:
        coming.cancel()
    await turns(4)
    assert crowd[100].done()


async def test_a_second_crowd_is_treated_as_the_first_one() -> None:
    doorkeeper = Doorkeeper()
    await asyncio.gather(*come(doorkeeper, 50))
    await asyncio.sleep(0.1)  # it owes nobody the time in which nobody came
    doorkeeper.begun += 100  # that was no idle time
    crowd = come(doorkeeper, 50)
    await turns(2)
    assert inside(crowd) < 50
    await asyncio.gather(*crowd)


APART = 0.05


async def test_a_dear_line_goes_in_with_time_in_between_and_others_at_once() -> None:
    doorkeeper = Doorkeeper({b"/login": APART})
    began = time.monotonic()
    dear, others = come(doorkeeper, 6, b"/login"), come(doorkeeper, 20, b"/me")
    await asyncio.gather(*others)
    assert time.monotonic() - began < APART
    assert inside(dear) == 1

    await asyncio.gather(*dear)
    assert time.monotonic() - began >= 5 * APART * 0.9


async def test_who_comes_alone_to_a_dear_line_goes_in_at_once() -> None:
    doorkeeper = Doorkeeper({b"/login": APART})
    for _ in range(2):
        began = time.monotonic()
        await doorkeeper.enter(b"/login")
        assert time.monotonic() - began < APART / 2
        await asyncio.sleep(1.5 * APART)


async def test_whoever_comes_while_a_dear_line_waits_is_not_kept_by_it() -> None:
    doorkeeper = Doorkeeper({b"/login": 10 * APART})
    dear = come(doorkeeper, 2, b"/login")
    await turns(5)
    for line in (b"/me", b"/users", b"/me"):
        began = time.monotonic()
        await doorkeeper.enter(line)
        assert time.monotonic() - began < APART
    assert inside(dear) == 1
    await asyncio.gather(*dear)


async def test_the_longer_a_dear_line_the_less_time_there_is_in_between() -> None:
    doorkeeper = Doorkeeper({b"/login": APART})
    crowd = come(doorkeeper, 20 * Doorkeeper.CROWD, b"/login")
    await turns(1)  # they stand in line: that takes its time, too
    await asyncio.sleep(5 * APART)
    assert inside(crowd) > 20
    for coming in crowd:
        coming.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
