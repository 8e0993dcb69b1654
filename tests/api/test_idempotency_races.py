"""One `Idempotency-Key`, many requests at once: one effect (contract: Conditional and repeated requests)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from tests.conftest import SECRET
from tests.support.accounts import Accounts
from tests.support.instances import Serve
from tests.support.problems import assert_problem
from tests.support.repeats import KEY, assert_same, held_keys, is_replayed, send
from tests.support.things import KINDS, Making, Things

each = pytest.mark.parametrize("kind", KINDS)
OTHER_SECRET = "zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVU"


@pytest.fixture
async def making(things: Things, accounts: Accounts, kind: str) -> Making:
    return await things.making(kind, await accounts.signed_in("ann"))


@pytest.fixture
async def clients(client: httpx.AsyncClient, serve: Serve) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two processes."""
    async with serve() as other:
        yield [client, other.client]


@each
async def test_of_equal_requests_at_once_one_has_its_effect(
    clients: list[httpx.AsyncClient], things: Things, making: Making, kind: str
) -> None:
    before = await things.count(kind)
    for round_ in range(1, 3):
        body = making.body(f"round{round_}")
        answers = await asyncio.gather(
            *(send(clients[number % 2], making, body, key=f"{KEY}{round_}") for number in range(50))
        )

        (first,) = [answer for answer in answers if answer.status_code == 201 and not is_replayed(answer)]
        for answer in answers:
            if answer.status_code == 409:
                assert_problem(answer, 409, "IDEMPOTENCY_IN_PROGRESS")
            elif answer is not first:
                assert_same(first, answer)
        assert await things.count(kind) == before + round_
        assert_same(first, await send(clients[round_ % 2], making, body, key=f"{KEY}{round_}"))


@pytest.mark.parametrize("kind", ["post", "comment"])
async def test_of_different_requests_with_one_key_at_once_one_has_its_effect(
    clients: list[httpx.AsyncClient], things: Things, making: Making, kind: str
) -> None:
    answers = await asyncio.gather(
        *(send(clients[number % 2], making, making.body(f"text{number}")) for number in range(20))
    )

    assert await things.count(kind) == 1
    assert [answer.status_code for answer in answers].count(201) == 1
    for answer in answers:
        assert answer.status_code in (201, 409, 422)


async def until_held(database: asyncpg.Connection) -> list[int]:
    """Wait until somebody is at a key; return what is held then."""
    async with asyncio.timeout(5):
        while not (keys := await held_keys(database)):  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)
    return keys


@each
async def test_who_comes_while_the_first_is_at_it_is_told_so_at_once(
    clients: list[httpx.AsyncClient], things: Things, database: asyncpg.Connection, making: Making, kind: str
) -> None:
    before = await things.count(kind)
    async with database.transaction():
        await database.execute("LOCK TABLE idempotency_keys IN SHARE MODE")
        held = asyncio.create_task(send(clients[0], making))
        await until_held(database)
        began = time.monotonic()
        refused = await send(clients[1], making)
        took = time.monotonic() - began

    assert_problem(refused, 409, "IDEMPOTENCY_IN_PROGRESS")
    assert took < 1
    first = await held
    assert_same(first, await send(clients[1], making))
    assert await things.count(kind) == before + 1


@each
async def test_a_key_that_another_transaction_holds_is_free_when_that_is_over(
    client: httpx.AsyncClient, things: Things, database: asyncpg.Connection, making: Making, kind: str
) -> None:
    before = await things.count(kind)
    async with database.transaction():
        await database.execute("LOCK TABLE idempotency_keys IN SHARE MODE")
        held = asyncio.create_task(send(client, making))
        (key,) = await until_held(database)
        assert await things.count(kind) == before
    await held
    await database.execute("DELETE FROM idempotency_keys")
    body = making.body("another")
    scope_is_of_the_request = kind == "user"
    async with database.transaction():
        await database.execute("SELECT pg_advisory_xact_lock($1)", key)
        refused = await send(client, making, making.body() if scope_is_of_the_request else body)
    assert_problem(refused, 409, "IDEMPOTENCY_IN_PROGRESS")
    assert await things.count(kind) == before + 1

    again = await send(client, making, body)
    assert (again.status_code, is_replayed(again)) == (201, False)


@pytest.mark.parametrize("kind", ["post", "comment"])
async def test_processes_with_the_same_secrets_in_another_order_give_one_effect(
    serve: Serve, things: Things, making: Making, kind: str
) -> None:
    """In the middle of a change of SECRET_KEY, when some processes sign with the new one already."""
    old, new = {"token_audience": "postern"}, {"secret_key": OTHER_SECRET, "secret_key_fallbacks": SECRET}
    async with serve(secret_key_fallbacks=OTHER_SECRET, **old) as one, serve(**new) as other:
        for round_ in range(10):
            key = f"{KEY}{round_}"
            answers = await asyncio.gather(
                *(send([one.client, other.client][number % 2], making, key=key) for number in range(4))
            )

            assert await things.count(kind) == round_ + 1, [answer.text for answer in answers]
            for process in (one, other):
                assert is_replayed(await send(process.client, making, key=key))
