"""What is kept for repeated requests: for how long, for whom, and what not."""

from __future__ import annotations

import datetime
import json

import asyncpg
import httpx
import pytest
from service.context import Context
from service.services import purge
from tests.conftest import SECRET
from tests.support.accounts import Account, Accounts
from tests.support.instances import Serve
from tests.support.problems import assert_problem
from tests.support.repeats import KEY, assert_same, is_replayed, send
from tests.support.things import KINDS, PASSWORD, Making, Things

each = pytest.mark.parametrize("kind", KINDS)
OTHER_SECRET = "zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVU"


@pytest.fixture
async def ann(accounts: Accounts) -> Account:
    return await accounts.signed_in("ann")


@pytest.fixture
async def making(things: Things, ann: Account, kind: str) -> Making:
    return await things.making(kind, ann)


async def let_expire(database: asyncpg.Connection) -> None:
    await database.execute("UPDATE idempotency_keys SET expires_at = now()")


async def kept(database: asyncpg.Connection) -> int:
    count: int = await database.fetchval("SELECT count(*) FROM idempotency_keys")
    return count


@each
async def test_an_answer_is_kept_for_a_day(
    client: httpx.AsyncClient, database: asyncpg.Connection, making: Making
) -> None:
    await send(client, making)

    left = await database.fetchval("SELECT expires_at - now() FROM idempotency_keys")
    assert datetime.timedelta(hours=23, minutes=59) < left <= datetime.timedelta(hours=24)


@each
async def test_a_replay_prolongs_nothing(
    client: httpx.AsyncClient, database: asyncpg.Connection, making: Making
) -> None:
    await send(client, making)
    before = await database.fetch("SELECT * FROM idempotency_keys")
    await send(client, making)

    assert await database.fetch("SELECT * FROM idempotency_keys") == before


async def test_an_operator_says_for_how_long(serve: Serve, things: Things, database: asyncpg.Connection) -> None:
    async with serve(idempotency_seconds=60) as instance:
        await send(instance.client, Making("user", "/api/users/", None))

    left = await database.fetchval("SELECT expires_at - now() FROM idempotency_keys")
    assert datetime.timedelta(seconds=50) < left <= datetime.timedelta(seconds=60)


@pytest.mark.parametrize("kind", ["post", "comment"])
async def test_a_key_is_free_once_it_has_expired_though_nothing_was_purged(
    client: httpx.AsyncClient, things: Things, database: asyncpg.Connection, making: Making, kind: str
) -> None:
    await send(client, making)
    await let_expire(database)

    second = await send(client, making, making.body("else"))

    assert (second.status_code, is_replayed(second)) == (201, False)
    assert (await things.count(kind), await kept(database)) == (2, 1)
    assert_same(second, await send(client, making, making.body("else")))


async def test_a_registration_that_has_expired_meets_itself(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    making = Making("user", "/api/users/", None)
    await send(client, making)
    await let_expire(database)

    assert (await send(client, making)).status_code == 409


@each
async def test_what_has_expired_is_purged_and_nothing_else(
    client: httpx.AsyncClient, things: Things, database: asyncpg.Connection, context: Context, making: Making, kind: str
) -> None:
    await send(client, making)
    await let_expire(database)
    fresh = await send(client, making, making.body("fresh"), key=KEY + "fresh")

    assert await purge.purge(context) == 1

    assert_same(fresh, await send(client, making, making.body("fresh"), key=KEY + "fresh"))


@pytest.mark.parametrize("kind", ["post", "comment"])
async def test_the_keys_of_a_deleted_account_are_gone(
    client: httpx.AsyncClient, database: asyncpg.Connection, ann: Account, making: Making, kind: str
) -> None:
    await send(client, making)

    assert (await client.delete(f"/api/users/{ann.id}", headers=ann.headers)).status_code == 204

    assert await kept(database) == 0


async def test_nothing_of_a_deleted_account_is_kept_not_even_of_its_registration(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    making = Making("user", "/api/users/", None)
    made = (await send(client, making)).json()
    entered = await client.post("/api/auth/login", json={"email": made["email"], "password": PASSWORD})
    headers = {"Authorization": f"Bearer {entered.json()['access_token']}"}

    assert (await client.delete(f"/api/users/{made['id']}", headers=headers)).status_code == 204

    assert made["email"] not in str(await database.fetch("SELECT * FROM idempotency_keys"))
    again = await send(client, making)
    assert (again.status_code, is_replayed(again)) == (201, False)


async def test_another_account_that_is_deleted_takes_no_keys_along(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, ann: Account
) -> None:
    making, bob = await things.making("post", ann), await accounts.signed_in("bob")
    first = await send(client, making)
    await client.delete(f"/api/users/{bob.id}", headers=bob.headers)

    assert_same(first, await send(client, making))


@each
async def test_what_is_kept_has_neither_the_key_nor_what_was_asked_in_plain(
    client: httpx.AsyncClient, database: asyncpg.Connection, making: Making
) -> None:
    body = making.body()
    answer = await send(client, making, body)

    row = await database.fetchrow("SELECT * FROM idempotency_keys")
    stored = str(dict(row))
    assert KEY not in stored
    assert PASSWORD not in stored
    assert "argon2" not in stored
    assert json.dumps(body) not in stored
    assert row["body"] == answer.text
    assert len(row["scope"]) == len(row["request"]) == 32


async def test_equal_requests_of_two_accounts_leave_different_digests(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, database: asyncpg.Connection, ann: Account
) -> None:
    bob, making = await accounts.signed_in("bob"), await things.making("post", ann)
    await send(client, making)
    await send(client, Making("post", making.path, bob))

    assert await database.fetchval("SELECT count(DISTINCT scope) FROM idempotency_keys") == 2


@each
async def test_a_repeat_is_known_after_a_change_of_the_secret(serve: Serve, things: Things, making: Making) -> None:
    async with serve() as before, serve(secret_key=OTHER_SECRET, secret_key_fallbacks=SECRET) as after:
        first = await send(before.client, making)
        for _ in range(2):
            assert_same(first, await send(after.client, making))


@pytest.mark.parametrize("kind", ["post", "comment"])
async def test_another_request_is_told_after_a_change_of_the_secret(
    serve: Serve, things: Things, making: Making
) -> None:
    async with serve() as before, serve(secret_key=OTHER_SECRET, secret_key_fallbacks=SECRET) as after:
        await send(before.client, making)
        answer = await send(after.client, making, making.body("else"))

    assert_problem(answer, 422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_process_that_lists_the_coming_secret_knows_what_was_kept_under_it(
    serve: Serve, things: Things, ann: Account
) -> None:
    making = await things.making("post", ann)
    async with (
        serve(secret_key_fallbacks=OTHER_SECRET) as before,
        serve(secret_key=OTHER_SECRET, secret_key_fallbacks=SECRET) as after,
    ):
        assert_same(await send(after.client, making), await send(before.client, making))
