"""`/api/auth/sessions`: one's own sessions, listed and ended."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from service.edge import Edge
from tests.support.accounts import Account, Accounts
from tests.support.instances import Serve, client_of
from tests.support.problems import assert_problem
from tests.support.sessions import me, payload, refresh, refreshed

PATHS = pytest.mark.parametrize("path", ["/api/auth/sessions", "/api/auth/sessions/"], ids=["plain", "slash"])


async def listed(client: httpx.AsyncClient, account: Account) -> list[dict[str, Any]]:
    answer = await client.get("/api/auth/sessions", headers=account.headers)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"sessions"}
    sessions: list[dict[str, Any]] = answer.json()["sessions"]
    return sessions


def sid(account: Account) -> str:
    return str(payload(account.access_token)["sid"])


async def end(client: httpx.AsyncClient, account: Account, session_id: str = "") -> httpx.Response:
    return await client.delete(f"/api/auth/sessions/{session_id}", headers=account.headers)


async def assert_ended(client: httpx.AsyncClient, account: Account) -> None:
    assert_problem(await me(client, account), 401, "TOKEN_REVOKED")
    assert_problem(await refresh(client, account), 401, "TOKEN_REVOKED")


# The list


@PATHS
async def test_a_session_is_shown_as_the_contract_says(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, path: str
) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get(path, headers=ann.headers)

    row = await database.fetchrow("SELECT * FROM sessions")
    (session,) = answer.json()["sessions"]
    assert session.keys() == {"id", "created_at", "last_used_at", "expires_at", "ip", "user_agent", "current"}
    assert session["id"] == sid(ann) == str(row["id"])
    for name in ("created_at", "last_used_at", "expires_at"):
        assert session[name].endswith("Z")
        assert datetime.datetime.fromisoformat(session[name]) == row[name]
    assert (session["ip"], session["current"]) == ("127.0.0.1", True)
    assert session["user_agent"].startswith("python-httpx/")
    assert answer.headers["cache-control"] == "no-store"


async def test_the_newest_session_is_the_first_and_the_one_in_use_is_marked(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.signed_in("ann")
    mine = [ann] + [await accounts.log_in(ann) for _ in range(3)]
    await refreshed(client, ann)  # which makes it no newer

    for account in mine:
        shown = [(session["id"], session["current"]) for session in await listed(client, account)]
        assert shown == [(sid(other), other is account) for other in reversed(mine)]


async def test_only_ones_own_sessions_are_listed(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann, root = await accounts.signed_in("ann"), await accounts.signed_in("root", role="admin")

    assert [session["id"] for session in await listed(client, ann)] == [sid(ann)]
    assert [session["id"] for session in await listed(client, root)] == [sid(root)]


@pytest.mark.parametrize("column", ["ended_at", "expires_at"])
async def test_only_sessions_that_are_alive_are_listed(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, column: str
) -> None:
    ann = await accounts.signed_in("ann")
    other = await accounts.log_in(ann)
    over = f"UPDATE sessions SET {column} = now() - interval '1 second' WHERE id = $1"
    await database.execute(over, uuid.UUID(sid(other)))

    assert [session["id"] for session in await listed(client, ann)] == [sid(ann)]


async def test_a_session_that_was_left_by_logout_is_not_listed(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    other = await accounts.log_in(ann)
    await client.delete("/api/auth/logout", headers=other.headers)

    assert [session["id"] for session in await listed(client, ann)] == [sid(ann)]


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("198.51.100.7", "203.0.113.9", ("198.51.100.7", "203.0.113.9")),
        ("2001:DB8::1", "::ffff:203.0.113.9", ("2001:db8::1", "203.0.113.9")),
        ("fe80::1%eth0", "", ("fe80::1", None)),
    ],
)
async def test_address_and_user_agent_are_those_of_the_login_and_of_the_last_refresh(
    app: Edge,
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    first: str,
    second: str,
    shown: tuple[str, str | None],
) -> None:
    async with client_of(app, address=first) as there:
        there.headers["User-Agent"] = "phone/1"
        ann = await Accounts(there, database).signed_in("ann")
    before = await listed(client, ann)
    assert [(session["ip"], session["user_agent"]) for session in before] == [(shown[0], "phone/1")]

    async with client_of(app, address=second) as elsewhere:
        elsewhere.headers["User-Agent"] = "phone/2"
        await me(elsewhere, ann)
        assert await listed(elsewhere, ann) == before  # neither of these is a use that counts
        new = await refreshed(elsewhere, ann)

    (after,) = await listed(client, new)
    assert (after["ip"], after["user_agent"]) == (shown[1], "phone/2")
    assert after["last_used_at"] > before[0]["last_used_at"]
    assert (after["id"], after["created_at"]) == (before[0]["id"], before[0]["created_at"])


async def test_no_more_than_the_newest_thousand_are_listed(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute(
        "INSERT INTO sessions (user_id, refresh_jti, created_at, expires_at, ends_at)"
        " SELECT $1, gen_random_uuid(), now() - n * interval '1 second', now() + '1 day', now() + '1 day'"
        " FROM generate_series(1, 1000) n",
        ann.id,
    )

    sessions = await listed(client, ann)

    assert len(sessions) == 1000
    assert sessions[0]["id"] == sid(ann)


# Ending one


async def test_ending_a_session_revokes_its_tokens(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    other = await accounts.log_in(ann)
    new = await refreshed(client, other)

    answer = await end(client, ann, sid(other))

    assert (answer.status_code, answer.content) == (204, b"")
    await assert_ended(client, other)
    await assert_ended(client, new)
    assert (await me(client, ann)).status_code == 200
    assert [row["id"] for row in await database.fetch("SELECT id FROM sessions WHERE ended_at IS NOT NULL")] == [
        uuid.UUID(sid(other))
    ]


async def test_the_session_in_use_can_be_ended(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    assert (await end(client, ann, sid(ann))).status_code == 204
    await assert_ended(client, ann)


async def test_an_ended_session_is_not_found_again(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    other = await accounts.log_in(ann)
    await end(client, ann, sid(other))

    assert_problem(await end(client, ann, sid(other)), 404, "NOT_FOUND")


@pytest.mark.parametrize("role", ["user", "admin"])
async def test_a_session_of_somebody_else_is_not_found(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, role: str
) -> None:
    ann, eve = await accounts.signed_in("ann"), await accounts.signed_in("eve", role=role)

    theirs, nobodys = await end(client, eve, sid(ann)), await end(client, eve, str(uuid.uuid4()))

    assert_problem(theirs, 404, "NOT_FOUND")
    assert theirs.json() | {"request_id": ""} == nobodys.json() | {"request_id": ""}
    assert await database.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 2
    assert await database.fetchval("SELECT count(*) FROM token_blocklist") == 0
    assert (await me(client, await refreshed(client, ann))).status_code == 200


@pytest.mark.parametrize(
    "session_id", ["1", "x", "null", "123e4567-e89b-12d3-a456-42661417400", "123e4567e89b12d3a456426614174000", "%20"]
)
async def test_what_is_no_uuid_is_not_found(client: httpx.AsyncClient, accounts: Accounts, session_id: str) -> None:
    ann = await accounts.signed_in("ann")

    assert_problem(await end(client, ann, session_id), 404, "NOT_FOUND")


async def test_a_uuid_may_be_in_capitals(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    assert (await end(client, ann, sid(ann).upper())).status_code == 204
    await assert_ended(client, ann)


# Ending all


@PATHS
async def test_ending_all_sessions_revokes_every_token(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, path: str
) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.signed_in("bob")
    mine = [ann, *[await accounts.log_in(ann) for _ in range(2)], await refreshed(client, ann)]

    answer = await client.delete(path, headers=ann.headers)

    assert (answer.status_code, answer.content) == (204, b"")
    for account in mine:
        await assert_ended(client, account)
    assert (await me(client, bob)).status_code == 200
    alive = await database.fetch("SELECT user_id FROM sessions WHERE ended_at IS NULL")
    assert [row["user_id"] for row in alive] == [bob.id]


async def test_two_who_end_all_sessions_at_once_end_all(
    client: httpx.AsyncClient, accounts: Accounts, serve: Serve, database: asyncpg.Connection
) -> None:
    async with serve() as other:
        for round_ in range(5):
            ann = await accounts.signed_in(f"ann{round_}")
            mine = [ann, *[await accounts.log_in(ann) for _ in range(3)]]

            answers = await asyncio.gather(
                *(end(there, one) for there in (client, other.client) for one in mine),
                refresh(client, mine[1]),
                end(other.client, ann, sid(mine[2])),
            )

            assert 204 in {answer.status_code for answer in answers}
            assert {answer.status_code for answer in answers} <= {200, 204, 401, 404}
            for account in mine:
                await assert_ended(other.client, account)
            assert await database.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 0


# All three


@pytest.mark.parametrize(
    ("method", "one"), [("GET", False), ("DELETE", False), ("DELETE", True)], ids=["list", "end all", "end one"]
)
async def test_an_unknown_query_parameter_is_refused(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, method: str, one: bool
) -> None:
    ann = await accounts.signed_in("ann")
    path = f"/api/auth/sessions/{sid(ann) if one else ''}?x=1"

    document = assert_problem(await client.request(method, path, headers=ann.headers), 400, "VALIDATION_ERROR")

    assert [fault["pointer"] for fault in document["errors"]] == ["?x"]
    assert await database.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/auth/sessions"),
        ("DELETE", "/api/auth/sessions"),
        ("DELETE", "/api/auth/sessions/123e4567-e89b-12d3-a456-426614174000"),
    ],
)
async def test_sessions_need_an_access_token(
    client: httpx.AsyncClient, accounts: Accounts, method: str, path: str
) -> None:
    ann = await accounts.signed_in("ann")

    assert_problem(await client.request(method, path), 401, "TOKEN_MISSING")
    assert_problem(await client.request(method, path, headers=ann.refresh_headers), 401, "WRONG_TOKEN_TYPE")


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/api/auth/sessions", "POST", "DELETE, GET, HEAD, OPTIONS"),
        ("/api/auth/sessions/123e4567-e89b-12d3-a456-426614174000", "GET", "DELETE, OPTIONS"),
    ],
)
async def test_other_methods_are_told_which_there_are(
    client: httpx.AsyncClient, path: str, method: str, allowed: str
) -> None:
    answer = await client.request(method, path)

    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == allowed
