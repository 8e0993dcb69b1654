"""Failed logins that meet, in the database, somebody who takes their tallies away."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx
from tests.support.accounts import PASSWORD, Accounts
from tests.support.attempts import LOCKING, log_in
from tests.support.instances import Serve
from tests.support.lockout import fail, tallies
from tests.support.problems import assert_problem
from tests.support.waiting import until_somebody_waits


async def test_a_failure_whose_tallies_go_away_meanwhile_counts_anew(
    locking: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")
    await fail(locking, ann.email, 1)
    async with database.transaction():  # as a login that succeeds, a purge and an operator do
        await database.execute("SELECT FROM login_failures FOR UPDATE")
        pending = asyncio.create_task(log_in(locking, ann.email, "wrong"))
        await until_somebody_waits(database)
        await database.execute("DELETE FROM login_failures")

    assert_problem(await pending, 401, "INVALID_CREDENTIALS")
    assert await tallies(database) == {"": 1, "198.51.100.0/24": 1}


async def test_failures_are_forgotten_a_day_after_the_last_one(
    locking: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")
    await fail(locking, ann.email, 9)
    await database.execute("UPDATE login_failures SET expires_at = now() - interval '1 second'")

    await fail(locking, ann.email, 1)

    assert await tallies(database) == {"": 1, "198.51.100.0/24": 1}


async def test_successes_and_failures_at_once_disturb_nobody(
    locking: httpx.AsyncClient, accounts: Accounts, serve: Serve, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")
    async with serve(**LOCKING) as other:
        for round_ in range(5):
            answers = await asyncio.gather(
                *(
                    log_in(client, ann.email, password, address=f"10.{round_}.{n // 4}.1")
                    for n, client in enumerate([locking, other.client] * 6)
                    for password in (PASSWORD, "wrong")
                )
            )
            assert {answer.status_code for answer in answers} == {200, 401}
