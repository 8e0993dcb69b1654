from __future__ import annotations

import httpx
from tests.support.accounts import Accounts
from tests.support.problems import assert_problem


async def test_the_caller_reads_their_own_account(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get("/api/auth/me", headers=ann.headers)

    assert answer.status_code == 200
    assert answer.json()["email"] == "ann@example.com"


async def test_nobody_is_nobody(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/api/auth/me"), 401, "TOKEN_MISSING", "Missing access token")
