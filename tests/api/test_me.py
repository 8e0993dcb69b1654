from __future__ import annotations

import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.problems import assert_problem, said


async def test_the_caller_reads_their_own_account(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get("/api/auth/me", headers=ann.headers)

    assert answer.status_code == 200
    assert answer.json()["email"] == "ann@example.com"


async def test_nobody_is_nobody(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/api/auth/me"), 401, "TOKEN_MISSING", "Missing access token")


async def test_my_account_has_exactly_the_private_members(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")

    document = (await client.get("/api/auth/me", headers=ann.headers)).json()

    row = await database.fetchrow("SELECT * FROM users")
    assert document == {
        "id": ann.id,
        "username": "ann",
        "email": "ann@example.com",
        "role": "user",
        "is_active": True,
        "created_at": row["created_at"].isoformat().replace("+00:00", "Z"),
        "updated_at": row["updated_at"].isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.parametrize("path", ["/api/auth/me", "/api/auth/admin-only"])
async def test_an_unknown_query_parameter_is_refused(client: httpx.AsyncClient, accounts: Accounts, path: str) -> None:
    root = await accounts.signed_in("root", role="admin")

    answer = await client.get(path, params={"verbose": "4711"}, headers=root.headers)

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in document["errors"]] == ["?verbose"]
    assert "4711" not in said(answer)


@pytest.mark.parametrize("path", ["/api/auth/me", "/api/auth/admin-only"])
async def test_head_is_get_without_its_body(client: httpx.AsyncClient, accounts: Accounts, path: str) -> None:
    root = await accounts.signed_in("root", role="admin")

    head = await client.head(path, headers=root.headers)
    get = await client.get(path, headers=root.headers)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


async def test_admins_read_the_secret(client: httpx.AsyncClient, accounts: Accounts) -> None:
    root = await accounts.signed_in("root", role="admin")

    answer = await client.get("/api/auth/admin-only", headers=root.headers)

    assert (answer.status_code, answer.json()) == (200, {"data": "secret admin data"})


async def test_users_do_not_read_the_secret(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get("/api/auth/admin-only", headers=ann.headers)

    assert_problem(answer, 403, "ADMIN_REQUIRED", "Admin access required")
