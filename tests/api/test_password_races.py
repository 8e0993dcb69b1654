"""Changes of the password that meet something else, on one process and on two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import argon2
import asyncpg
import httpx
import pytest
from tests.support.accounts import PASSWORD, PASSWORD_HASH, Account, Accounts
from tests.support.attempts import log_in
from tests.support.instances import Serve
from tests.support.problems import assert_problem
from tests.support.sessions import NEW_PASSWORD, change_password, me, refresh, refreshed, with_tokens
from tests.support.waiting import until_somebody_waits

ALIVE = "SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at IS NULL"


@pytest.fixture
async def other(serve: Serve, database: asyncpg.Connection) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another application on the same database, whose hashes are dearer."""
    async with serve(hash_passes=2) as instance:
        yield instance.client


async def which_work(client: httpx.AsyncClient, account: Account, *passwords: str) -> list[str]:
    return [password for password in passwords if (await log_in(client, account.email, password)).status_code == 200]


@pytest.mark.parametrize("same_session", [True, False], ids=["one session", "two sessions"])
async def test_of_two_changes_at_once_one_wins(
    client: httpx.AsyncClient,
    other: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    same_session: bool,
) -> None:
    for round_ in range(8):
        first = await accounts.signed_in(f"ann{round_}")
        second = first if same_session else await accounts.log_in(first)
        passwords = ["another horse 1", "another horse 2"]

        answers = await asyncio.gather(
            change_password(client, first, new=passwords[0]), change_password(other, second, new=passwords[1])
        )

        won = [answer.status_code for answer in answers].index(200)
        lost = answers[1 - won]
        assert_problem(lost, lost.status_code, "TOKEN_REVOKED" if lost.status_code == 401 else "VALIDATION_ERROR")
        new = with_tokens(first, answers[won])
        assert await database.fetchval(ALIVE, first.id) == 1
        assert (await me(client, new)).status_code == 200
        assert (await refresh(other, new)).status_code == 200
        assert await which_work(client, first, PASSWORD, *passwords) == [passwords[won]]


async def test_a_change_against_refreshes_leaves_the_session_alive_and_no_old_token(
    client: httpx.AsyncClient, other: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    for round_ in range(20):
        ann = await accounts.signed_in(f"ann{round_}")

        changed, *others = await asyncio.gather(
            change_password(client, ann), refresh(other, ann), refresh(client, ann), refresh(other, ann)
        )

        old = [ann, *(with_tokens(ann, answer) for answer in others if answer.status_code == 200)]
        for refused in (answer for answer in others if answer.status_code != 200):
            assert_problem(refused, 401, "TOKEN_REVOKED")
        new = with_tokens(ann, changed)
        for account in old:
            assert_problem(await me(client, account), 401, "TOKEN_REVOKED")
            assert_problem(await refresh(client, account), 401, "TOKEN_REVOKED")
        assert (await me(other, new)).status_code == 200
        assert (await me(client, await refreshed(client, new))).status_code == 200
        assert await database.fetchval(ALIVE, ann.id) == 1


async def test_a_refresh_that_waits_for_a_change_is_revoked_and_ends_nothing(
    client: httpx.AsyncClient, other: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    """Its token is neither the session's nor the parent of it, and yet it was never exchanged."""
    ann = await accounts.signed_in("ann")
    async with database.transaction():
        await database.execute("SELECT FROM sessions FOR UPDATE")
        changing = asyncio.create_task(change_password(client, ann))
        await until_somebody_waits(database)
        refreshing = asyncio.create_task(refresh(other, ann))
        await until_somebody_waits(database, 2)

    new = with_tokens(ann, await changing)
    assert_problem(await refreshing, 401, "TOKEN_REVOKED")
    assert (await me(client, new)).status_code == 200
    assert await database.fetchval(ALIVE, ann.id) == 1


async def test_a_change_against_logins_that_renew_an_old_hash_leaves_one_session_and_one_password(
    client: httpx.AsyncClient, other: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    for round_ in range(10):
        ann = await accounts.signed_in(f"ann{round_}")

        changed, *logins = await asyncio.gather(
            change_password(client, ann), log_in(other, ann.email), log_in(other, ann.email)
        )

        new = with_tokens(ann, changed)
        assert {answer.status_code for answer in logins} <= {200, 401}
        assert await database.fetchval(ALIVE, ann.id) == 1
        for account in (with_tokens(ann, answer) for answer in logins if answer.status_code == 200):
            assert_problem(await me(client, account), 401, "TOKEN_REVOKED")
        assert (await me(client, new)).status_code == 200
        assert await which_work(client, ann, PASSWORD, NEW_PASSWORD) == [NEW_PASSWORD]


async def test_a_change_goes_on_when_its_hash_was_renewed_meanwhile(
    client: httpx.AsyncClient, other: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    renewed = argon2.PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)
    async with database.transaction():
        await database.execute("SELECT FROM users FOR UPDATE")
        pending = asyncio.create_task(change_password(client, ann))
        await until_somebody_waits(database)
        await database.execute("UPDATE users SET password_hash = $1", renewed)

    assert (await pending).status_code == 200
    assert await which_work(client, ann, PASSWORD, NEW_PASSWORD) == [NEW_PASSWORD]


@pytest.mark.parametrize(
    ("meanwhile", "code"),
    [
        ("UPDATE users SET is_active = false", "INVALID_TOKEN"),
        ("DELETE FROM users", "INVALID_TOKEN"),
        ("UPDATE sessions SET ended_at = now()", "TOKEN_REVOKED"),
        ("UPDATE sessions SET expires_at = now() - interval '1 second'", "TOKEN_REVOKED"),
        ("DELETE FROM sessions", "TOKEN_REVOKED"),
    ],
    ids=["disabled", "deleted", "session ended", "session expired", "session purged"],
)
async def test_a_change_is_refused_when_its_ground_went_away_meanwhile(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, meanwhile: str, code: str
) -> None:
    ann = await accounts.signed_in("ann")
    async with database.transaction():
        await database.execute("SELECT FROM users FOR UPDATE")
        pending = asyncio.create_task(change_password(client, ann))
        await until_somebody_waits(database)
        await database.execute(meanwhile)

    assert_problem(await pending, 401, code)
    assert await database.fetchval("SELECT bool_and(password_hash = $1) FROM users", PASSWORD_HASH) in (True, None)


async def test_ending_all_sessions_against_changes_leaves_none_or_one(
    client: httpx.AsyncClient, other: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    for round_ in range(10):
        ann = await accounts.signed_in(f"ann{round_}")
        second = await accounts.log_in(ann)

        changed, ended = await asyncio.gather(
            change_password(client, ann), other.delete("/api/auth/sessions", headers=second.headers)
        )

        assert changed.status_code in (200, 401)
        assert ended.status_code in (204, 401)
        alive = await database.fetchval(ALIVE, ann.id)
        assert alive == (0 if ended.status_code == 204 else 1)
        if changed.status_code == 200:
            answer = await me(client, with_tokens(ann, changed))
            assert answer.status_code == (200 if alive else 401)


async def test_of_two_changes_to_the_same_password_at_once_one_wins(
    client: httpx.AsyncClient, other: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    async with database.transaction():
        await database.execute("SELECT FROM users FOR UPDATE")
        pending = [asyncio.create_task(change_password(there, ann, new=PASSWORD)) for there in (client, other)]
        await until_somebody_waits(database, 2)

    answers = [await answer for answer in pending]

    # Whoever comes second has a token from before the first: it is revoked.
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    (won,) = (answer for answer in answers if answer.status_code == 200)
    assert (await me(client, with_tokens(ann, won))).status_code == 200
