from __future__ import annotations

import uuid

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.instances import NewDatabase, Serve, connect
from tests.support.problems import assert_problem
from tests.support.sessions import payload, refreshed


async def test_a_refresh_token_is_exchanged_for_a_new_pair(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.post("/api/auth/refresh", headers=ann.refresh_headers)

    document = answer.json()
    assert answer.status_code == 200
    assert document.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (document["token_type"], document["expires_in"]) == ("Bearer", 900)
    assert document["refresh_token"] != ann.refresh_token
    assert document["access_token"] != ann.access_token


async def test_the_new_pair_is_of_the_same_session(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    new = await refreshed(client, ann)

    tokens = (ann.access_token, ann.refresh_token, new.access_token, new.refresh_token)
    assert len({payload(token)["sid"] for token in tokens}) == 1
    assert len({payload(token)["jti"] for token in tokens}) == 4


async def test_a_refresh_rotates_the_sessions_row(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    before = await database.fetchrow("SELECT * FROM sessions")
    new = await refreshed(client, ann)

    after = await database.fetchrow("SELECT * FROM sessions")
    assert str(after["refresh_jti"]) == payload(new.refresh_token)["jti"]
    assert str(after["parent_jti"]) == payload(ann.refresh_token)["jti"]
    assert after["last_used_at"] > before["last_used_at"]
    assert after["expires_at"] >= before["expires_at"]
    assert (after["ends_at"], after["created_at"]) == (before["ends_at"], before["created_at"])


async def test_both_new_tokens_work(client: httpx.AsyncClient, accounts: Accounts) -> None:
    new = await refreshed(client, await accounts.signed_in("ann"))

    assert (await client.get("/api/auth/me", headers=new.headers)).status_code == 200
    assert (await client.post("/api/auth/refresh", headers=new.refresh_headers)).status_code == 200


async def test_earlier_access_tokens_go_on(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    await refreshed(client, ann)

    assert (await client.get("/api/auth/me", headers=ann.headers)).status_code == 200


async def test_a_lost_answer_can_be_asked_for_again(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    first = await client.post("/api/auth/refresh", headers=ann.refresh_headers)
    stored = await database.fetchrow("SELECT * FROM sessions")

    again = [await client.post("/api/auth/refresh", headers=ann.refresh_headers) for _ in range(3)]

    assert [answer.content for answer in again] == [first.content] * 3
    assert await database.fetchrow("SELECT * FROM sessions") == stored


async def test_the_parent_comes_too_late_after_ten_seconds(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    new = await refreshed(client, ann)
    await database.execute("UPDATE sessions SET issued_at = now() - interval '9.5 seconds'")
    assert (await client.post("/api/auth/refresh", headers=ann.refresh_headers)).status_code == 200
    await database.execute("UPDATE sessions SET issued_at = now() - interval '10.1 seconds'")

    answer = await client.post("/api/auth/refresh", headers=ann.refresh_headers)

    assert_problem(answer, 401, "TOKEN_REUSED")
    assert_problem(await client.get("/api/auth/me", headers=new.headers), 401, "TOKEN_REVOKED")


async def test_the_parent_comes_too_late_once_its_successor_was_exchanged(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.signed_in("ann")
    await refreshed(client, await refreshed(client, ann))

    assert_problem(await client.post("/api/auth/refresh", headers=ann.refresh_headers), 401, "TOKEN_REUSED")


async def reused(client: httpx.AsyncClient, accounts: Accounts) -> tuple[Account, Account]:
    """An account before and after its refresh token was exchanged twice and the first one came back."""
    ann = await accounts.signed_in("ann")
    new = await refreshed(client, await refreshed(client, ann))
    assert_problem(await client.post("/api/auth/refresh", headers=ann.refresh_headers), 401, "TOKEN_REUSED")
    return ann, new


async def test_reuse_ends_the_session_and_that_is_committed(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann, _ = await reused(client, accounts)

    session_id = uuid.UUID(payload(ann.refresh_token)["sid"])
    assert await database.fetchval("SELECT ended_at IS NOT NULL FROM sessions WHERE id = $1", session_id)
    assert await database.fetchval(
        "SELECT expires_at > now() + interval '15 minutes' FROM token_blocklist WHERE id = $1", session_id
    )


async def test_reuse_revokes_every_token_of_the_session(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann, new = await reused(client, accounts)

    for headers in (ann.headers, new.headers):
        assert_problem(await client.get("/api/auth/me", headers=headers), 401, "TOKEN_REVOKED")
    assert_problem(await client.post("/api/auth/refresh", headers=new.refresh_headers), 401, "TOKEN_REVOKED")


async def test_reuse_ends_no_other_session(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    other = await accounts.log_in(ann)
    new = await refreshed(client, await refreshed(client, ann))
    await client.post("/api/auth/refresh", headers=ann.refresh_headers)

    assert_problem(await client.get("/api/auth/me", headers=new.headers), 401, "TOKEN_REVOKED")
    assert (await client.get("/api/auth/me", headers=other.headers)).status_code == 200
    assert (await client.post("/api/auth/refresh", headers=other.refresh_headers)).status_code == 200


@pytest.mark.parametrize(("column", "code"), [("expires_at", "TOKEN_EXPIRED"), ("ended_at", "TOKEN_REVOKED")])
async def test_the_token_of_a_session_that_is_over_is_refused(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, column: str, code: str
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute(f"UPDATE sessions SET {column} = now() - interval '1 minute'")

    assert_problem(await client.post("/api/auth/refresh", headers=ann.refresh_headers), 401, code)


async def test_a_session_does_not_slide_past_its_end(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute("UPDATE sessions SET ends_at = date_trunc('second', now()) + interval '1 minute'")

    answer = await client.post("/api/auth/refresh", headers=ann.refresh_headers)

    assert await database.fetchval("SELECT expires_at = ends_at FROM sessions")
    assert answer.json()["expires_in"] <= 60
    exp = payload(answer.json()["refresh_token"])["exp"]
    assert exp == await database.fetchval("SELECT extract(epoch FROM ends_at)::bigint FROM sessions")


async def test_refreshing_slides_the_session(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute("UPDATE sessions SET expires_at = now() + interval '1 minute'")
    await refreshed(client, ann)

    assert await database.fetchval("SELECT expires_at > now() + interval '29 days' FROM sessions")


async def test_an_unknown_query_parameter_is_refused_and_rotates_nothing(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.post("/api/auth/refresh?x=1", headers=ann.refresh_headers)

    assert_problem(answer, 400, "VALIDATION_ERROR")
    assert await database.fetchval("SELECT parent_jti FROM sessions") is None


async def test_no_token_is_no_token(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/auth/refresh")

    assert_problem(answer, 401, "TOKEN_MISSING", "Missing access token")


async def test_tokens_live_as_long_as_configured(serve: Serve, new_database: NewDatabase) -> None:
    url = await new_database()
    database = await connect(url)
    try:
        async with serve(url, access_token_seconds=60, refresh_token_seconds=120, session_seconds=90) as instance:
            account = await Accounts(instance.client, database).signed_in("ann")
            access, refresh = payload(account.access_token), payload(account.refresh_token)
    finally:
        await database.close()

    assert int(access["exp"]) - int(access["iat"]) == 60
    assert int(refresh["exp"]) - int(refresh["iat"]) == 90


async def test_a_revoked_token_is_refused_before_the_query_is(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    await client.delete("/api/auth/logout", headers=ann.headers)

    answer = await client.post("/api/auth/refresh?x=1", headers=ann.refresh_headers)

    assert_problem(answer, 401, "TOKEN_REVOKED")
