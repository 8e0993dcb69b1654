from __future__ import annotations

import uuid

import asyncpg
import httpx
import jwt
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.instances import Serve
from tests.support.problems import assert_problem


async def log_out(client: httpx.AsyncClient, account: Account) -> httpx.Response:
    return await client.delete("/api/auth/logout", headers=account.headers)


async def test_a_logout_says_so(client: httpx.AsyncClient, accounts: Accounts) -> None:
    answer = await log_out(client, await accounts.signed_in("ann"))

    assert (answer.status_code, answer.json()) == (200, {"message": "Token revoked"})


async def test_a_logout_ends_the_session_and_blocks_it(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await log_out(client, ann)

    session_id = uuid.UUID(jwt.decode(ann.access_token, options={"verify_signature": False})["sid"])
    assert await database.fetchval("SELECT ended_at IS NOT NULL FROM sessions WHERE id = $1", session_id)
    assert await database.fetchval("SELECT count(*) FROM token_blocklist WHERE id = $1", session_id) == 1


async def test_a_logout_revokes_the_access_token(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    await log_out(client, ann)

    answer = await client.get("/api/auth/me", headers=ann.headers)
    assert_problem(answer, 401, "TOKEN_REVOKED", "Token has been revoked")


async def test_a_logout_revokes_the_refresh_token(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await log_out(client, ann)

    assert_problem(await client.post("/api/auth/refresh", headers=ann.refresh_headers), 401, "TOKEN_REVOKED")
    assert await database.fetchval("SELECT parent_jti FROM sessions") is None


async def test_a_logout_revokes_earlier_access_tokens_too(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    new = (await client.post("/api/auth/refresh", headers=ann.refresh_headers)).json()
    await client.delete("/api/auth/logout", headers={"Authorization": f"Bearer {new['access_token']}"})

    assert_problem(await client.get("/api/auth/me", headers=ann.headers), 401, "TOKEN_REVOKED")


async def test_a_logout_with_an_earlier_access_token_revokes_the_later_one(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.signed_in("ann")
    new = (await client.post("/api/auth/refresh", headers=ann.refresh_headers)).json()
    await log_out(client, ann)

    for method, path, token in (
        ("GET", "/api/auth/me", new["access_token"]),
        ("POST", "/api/auth/refresh", new["refresh_token"]),
    ):
        answer = await client.request(method, path, headers={"Authorization": f"Bearer {token}"})
        assert_problem(answer, 401, "TOKEN_REVOKED")


async def test_a_logout_holds_on_every_process(client: httpx.AsyncClient, accounts: Accounts, serve: Serve) -> None:
    ann = await accounts.signed_in("ann")
    async with serve() as other:
        assert (await other.client.get("/api/auth/me", headers=ann.headers)).status_code == 200
        await log_out(client, ann)

        assert_problem(await other.client.get("/api/auth/me", headers=ann.headers), 401, "TOKEN_REVOKED")


async def test_a_logout_ends_no_other_session(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    other = await accounts.log_in(ann)
    await log_out(client, ann)

    assert (await client.get("/api/auth/me", headers=other.headers)).status_code == 200


async def test_nobody_logs_out_twice(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    await log_out(client, ann)

    assert_problem(await log_out(client, ann), 401, "TOKEN_REVOKED")


async def test_after_a_logout_one_can_log_in(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    await log_out(client, ann)
    again = await accounts.log_in(ann)

    assert (await client.get("/api/auth/me", headers=again.headers)).status_code == 200


async def test_an_unknown_query_parameter_is_refused_and_ends_nothing(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.delete("/api/auth/logout?x=1", headers=ann.headers)

    assert_problem(answer, 400, "VALIDATION_ERROR")
    assert await database.fetchval("SELECT ended_at FROM sessions") is None


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH"])
async def test_logging_out_is_a_delete(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/api/auth/logout")

    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "DELETE, OPTIONS"
