"""What is asked together, what waits for what, and who learns of a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest
from service.errors import Unavailable
from service.repositories.batches import AT_ONCE, LARGEST, PATIENCE_SECONDS, Batches

MOST, WAIT_SECONDS = 4, 0.3

asking: ContextVar[str] = ContextVar("asking", default="nobody")


class Database:
    """Answers each key with its double, when it is let."""

    def __init__(self) -> None:
        self.asked: list[list[Any]] = []
        self.contexts: list[str] = []
        self.held: list[asyncio.Event] = []
        self.holds = False
        self.refuses: Callable[[Sequence[Any]], Exception | None] = lambda keys: None

    async def ask(self, keys: Sequence[Any]) -> Sequence[Any]:
        self.asked.append(list(keys))
        self.contexts.append(asking.get())
        if self.holds:
            self.held.append(asyncio.Event())
            await self.held[-1].wait()
        if error := self.refuses(keys):
            raise error
        return [2 * key for key in keys]

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(5):
            while len(self.asked) < times:  # noqa: ASYNC110 - one round of the loop after the other
                await asyncio.sleep(0)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def batches() -> AsyncIterator[Batches]:
    batches = Batches(is_of_one_key=lambda error: isinstance(error, ValueError), most=MOST, wait_seconds=WAIT_SECONDS)
    yield batches
    await batches.close()


async def begin(batches: Batches, database: Database, *keys: Any, kind: str = "double") -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(batches.load(kind, key, database.ask)) for key in keys]
    await asyncio.sleep(0)
    return tasks


async def occupy(batches: Batches, database: Database) -> list[asyncio.Task[Any]]:
    """Have as many batches under way as there may be, each with one key, none answered."""
    database.holds = True
    tasks = []
    for number in range(AT_ONCE):
        asked = len(database.asked)
        tasks += await begin(batches, database, -number)
        await database.until_asked(asked + 1)
    return tasks


async def test_when_nothing_is_under_way_nobody_waits(batches: Batches, database: Database) -> None:
    assert await batches.load("double", 1, database.ask) == 2
    assert await batches.load("double", 2, database.ask) == 4
    assert database.asked == [[1], [2]]


async def test_what_comes_in_one_round_of_the_loop_goes_together(batches: Batches, database: Database) -> None:
    answers = await asyncio.gather(*(batches.load("double", key, database.ask) for key in range(50)))

    assert answers == [2 * key for key in range(50)]
    assert database.asked == [list(range(50))]


async def test_what_comes_while_others_are_under_way_goes_together_after_them(
    batches: Batches, database: Database
) -> None:
    first = await occupy(batches, database)
    later = [*await begin(batches, database, 5), *await begin(batches, database, 3), *await begin(batches, database, 4)]
    assert len(database.asked) == AT_ONCE

    database.held[1].set()
    await database.until_asked(AT_ONCE + 1)
    assert database.asked[-1] == [5, 3, 4]

    for held in database.held:
        held.set()
    assert await asyncio.gather(*first, *later) == [0, -2, 10, 6, 8]


async def test_equal_keys_share_an_answer(batches: Batches, database: Database) -> None:
    answers = await asyncio.gather(*(batches.load("double", key, database.ask) for key in (7, 8, 7, 7)))

    assert answers == [14, 16, 14, 14]
    assert database.asked == [[7, 8]]


async def test_a_question_that_is_under_way_is_asked_anew_for_who_comes_later(
    batches: Batches, database: Database
) -> None:
    first = await occupy(batches, database)
    again = await begin(batches, database, 0)
    for held in database.held:
        held.set()
    database.holds = False

    assert await asyncio.gather(*first, *again) == [0, -2, 0]
    assert database.asked[-1] == [0]


async def test_kinds_do_not_wait_for_each_other(batches: Batches, database: Database) -> None:
    await occupy(batches, database)
    database.holds = False

    (other,) = await begin(batches, database, 1, kind="another")

    assert await other == 2


async def test_no_batch_is_larger_than_it_may_be_and_whoever_came_first_goes_first(
    batches: Batches, database: Database
) -> None:
    await asyncio.gather(*(batches.load("double", key, database.ask) for key in range(2 * LARGEST + 1)))

    assert database.asked == [
        list(range(LARGEST)),
        list(range(LARGEST, 2 * LARGEST)),
        [2 * LARGEST],
    ]


@pytest.mark.parametrize("bad", [0, 5, 9])
async def test_a_key_that_can_not_be_asked_fails_alone(batches: Batches, database: Database, bad: int) -> None:
    database.refuses = lambda keys: ValueError("bad") if bad in keys else None

    answers = await asyncio.gather(
        *(batches.load("double", key, database.ask) for key in range(10)), return_exceptions=True
    )

    assert [key for key, answer in enumerate(answers) if isinstance(answer, ValueError)] == [bad]
    assert [answer for key, answer in enumerate(answers) if key != bad] == [2 * k for k in range(10) if k != bad]


async def test_when_the_database_is_away_all_who_asked_together_learn_it_at_once(
    batches: Batches, database: Database
) -> None:
    database.refuses = lambda keys: Unavailable()

    answers = await asyncio.gather(
        *(batches.load("double", key, database.ask) for key in range(10)), return_exceptions=True
    )

    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert len(database.asked) == 1
    database.refuses = lambda keys: None
    assert await batches.load("double", 1, database.ask) == 2


async def test_who_is_cancelled_takes_nobody_along(batches: Batches, database: Database) -> None:
    database.holds = True
    cancelled, *others = await begin(batches, database, 1, 1, 2)
    await database.until_asked(1)

    cancelled.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled
    database.held[0].set()

    assert await asyncio.gather(*others) == [2, 4]


async def test_what_nobody_waits_for_any_more_is_not_asked(batches: Batches, database: Database) -> None:
    first = await occupy(batches, database)
    later = await begin(batches, database, 1, 2)
    for task in later:
        task.cancel()
    (another,) = await begin(batches, database, 3)
    another.cancel()
    database.holds = False
    for held in database.held:
        held.set()

    await asyncio.gather(*first, *later, another, return_exceptions=True)
    assert await batches.load("double", 4, database.ask) == 8
    assert database.asked[AT_ONCE:] == [[4]]


async def test_slow_batches_are_not_waited_for(batches: Batches, database: Database) -> None:
    first = await occupy(batches, database)
    database.holds = False
    began = asyncio.get_running_loop().time()

    assert await batches.load("double", 1, database.ask) == 2
    assert asyncio.get_running_loop().time() - began >= PATIENCE_SECONDS / 2
    assert await batches.load("double", 2, database.ask) == 4

    assert not any(task.done() for task in first)
    for held in database.held:
        held.set()
    assert await asyncio.gather(*first) == [0, -2]


async def test_a_batch_is_no_part_of_the_request_that_came_first(batches: Batches, database: Database) -> None:
    asking.set("ann")

    await batches.load("double", 1, database.ask)

    assert database.contexts == ["nobody"]


async def test_nothing_is_kept_of_what_is_over(batches: Batches, database: Database) -> None:
    for kind in map(str, range(100)):
        await batches.load(kind, 1, database.ask)
    await asyncio.sleep(0)

    assert not batches._lines
    assert not batches._sending


async def test_a_close_cuts_off_what_is_under_way(batches: Batches, database: Database) -> None:
    database.holds = True
    (task,) = await begin(batches, database, 1)
    await database.until_asked(1)

    await batches.close()

    with pytest.raises(Unavailable):
        await task


async def test_a_close_dismisses_whoever_waits_and_begins_nothing(batches: Batches, database: Database) -> None:
    first = await occupy(batches, database)
    later = await begin(batches, database, 1, 2)

    await batches.close()

    answers = await asyncio.gather(*first, *later, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * (AT_ONCE + 2)
    assert len(database.asked) == AT_ONCE
    with pytest.raises(Unavailable):
        await batches.load("double", 3, database.ask)


async def test_a_fault_of_all_is_not_looked_for_in_each(batches: Batches, database: Database) -> None:
    database.refuses = lambda keys: RuntimeError("no such column")

    answers = await asyncio.gather(
        *(batches.load("double", key, database.ask) for key in range(100)), return_exceptions=True
    )

    assert all(isinstance(answer, RuntimeError) for answer in answers)
    assert len(database.asked) == 1


async def test_a_slow_batch_that_ends_late_leaves_the_others_of_its_kind_in_line(
    batches: Batches, database: Database
) -> None:
    database.holds = True
    slow = await begin(batches, database, 0)
    await database.until_asked(1)
    await asyncio.sleep(1.5 * PATIENCE_SECONDS)
    later = await occupy(batches, database)

    database.held[0].set()
    await asyncio.gather(*slow)
    waiting = await begin(batches, database, 9)

    assert len(database.asked) == 1 + AT_ONCE
    for held in database.held:
        held.set()
    database.holds = False
    assert await asyncio.gather(*later, *waiting) == [0, -2, 18]


async def hang(batches: Batches, database: Database) -> list[asyncio.Task[Any]]:
    """Have as many batches hang as may be under way of a kind."""
    database.holds = True
    tasks: list[asyncio.Task[Any]] = []
    async with asyncio.timeout(5):
        for number in range(MOST):
            tasks += await begin(batches, database, -number)
            while len(database.asked) <= number:  # noqa: ASYNC110 - a moment after the other
                await asyncio.sleep(PATIENCE_SECONDS / 4)
    return tasks


async def test_no_more_batches_of_a_kind_hang_than_may_and_who_waits_for_them_is_told(
    batches: Batches, database: Database
) -> None:
    hanging = await hang(batches, database)
    began = asyncio.get_running_loop().time()
    late = await begin(batches, database, 1, 2)
    answers = await asyncio.gather(*late, return_exceptions=True)

    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
    assert WAIT_SECONDS <= asyncio.get_running_loop().time() - began < 3 * WAIT_SECONDS
    assert len(database.asked) == MOST

    waiting = await begin(batches, database, 3)
    for held in database.held:
        held.set()
    await asyncio.gather(*hanging)
    database.holds = False
    await database.until_asked(MOST + 1)
    database.held[-1].set()
    assert await waiting[0] == 6


async def test_a_kind_that_hangs_leaves_others_alone(batches: Batches, database: Database) -> None:
    tasks = await hang(batches, database)
    other = Database()
    assert await batches.load("triple", 1, other.ask) == 2
    for held in database.held:
        held.set()
    await asyncio.gather(*tasks)
