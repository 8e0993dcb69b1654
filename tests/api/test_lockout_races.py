"""The lock on guessing, when it comes while requests are under way, on one process and on two."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import asyncpg
import httpx
import pytest
from tests.support.accounts import PASSWORD, Account, Accounts
from tests.support.attempts import LOCKING, log_in
from tests.support.hashing import Hashing
from tests.support.instances import Serve
from tests.support.lockout import NETWORK, NOBODY, assert_locked, fail, tallies


@pytest.fixture
async def ann(accounts: Accounts) -> Account:
    return await accounts.add("ann")


async def test_a_lock_holds_on_another_application(locking: httpx.AsyncClient, ann: Account, serve: Serve) -> None:
    async with serve(**LOCKING) as other:
        await fail(locking, ann.email, 5)
        await fail(other.client, ann.email, 5)

        assert_locked(await log_in(locking, ann.email))
        assert_locked(await log_in(other.client, ann.email))


@pytest.mark.parametrize("email", ["ann@example.com", NOBODY], ids=["known", "unknown"])
async def test_of_many_wrong_passwords_at_once_exactly_ten_are_checked(
    locking: httpx.AsyncClient, ann: Account, serve: Serve, database: asyncpg.Connection, email: str
) -> None:
    async with serve(**LOCKING) as other:
        clients = itertools.cycle([locking, other.client])
        answers = await asyncio.gather(
            *(log_in(next(clients), email, f"wrong{n}", address=f"{NETWORK}{n}") for n in range(20))
        )

    assert Counter(answer.status_code for answer in answers) == {401: 10, 429: 10}
    assert await tallies(database) == {"": 10, "198.51.100.0/24": 10}


@pytest.mark.parametrize("network", ["198.51.100.0/24", ""], ids=["here", "everywhere"])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"], ids=["right", "wrong"])
async def test_a_lock_that_comes_while_a_password_is_checked_holds_for_it(
    locking: httpx.AsyncClient,
    ann: Account,
    database: asyncpg.Connection,
    hashing: Hashing,
    password: str,
    network: str,
) -> None:
    hashing.hold()
    in_flight = asyncio.create_task(log_in(locking, ann.email, password))
    await hashing.until_asked(1)
    await database.execute(
        "INSERT INTO login_failures VALUES ($1, $2, 10, now() + interval '30 s', now() + interval '1 day')",
        f"user:{ann.id}",
        network,
    )
    hashing.go_on()

    assert_locked(await in_flight)
    assert await database.fetchval("SELECT count(*) FROM sessions") == 0
    assert (await tallies(database))[network] == 10


async def test_a_right_password_among_many_wrong_ones_is_not_told_after_the_lock(
    locking: httpx.AsyncClient, ann: Account, database: asyncpg.Connection, hashing: Hashing
) -> None:
    hashing.hold()
    right = asyncio.create_task(log_in(locking, ann.email))
    await hashing.until_asked(1)
    wrong = [asyncio.create_task(log_in(locking, ann.email, f"wrong{n}")) for n in range(10)]
    await hashing.until_asked(2)
    await database.execute("BEGIN")
    await database.execute("SELECT FROM users FOR UPDATE")  # whoever has the right password waits here
    hashing.go_on()
    assert {(await answer).status_code for answer in wrong} == {401}
    await database.execute("COMMIT")

    assert_locked(await right)
    assert await database.fetchval("SELECT count(*) FROM sessions") == 0
