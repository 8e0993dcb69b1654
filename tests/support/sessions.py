"""What a client does with the tokens of its session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import jwt
from tests.support.accounts import PASSWORD, Account

NEW_PASSWORD = "another horse battery"


def payload(token: str) -> dict[str, Any]:
    """What a token says."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def with_tokens(account: Account, answer: httpx.Response) -> Account:
    """The account with the pair of an answer."""
    assert answer.status_code == 200, answer.text
    pair = answer.json()
    return replace(account, access_token=pair["access_token"], refresh_token=pair["refresh_token"])


async def refresh(client: httpx.AsyncClient, account: Account) -> httpx.Response:
    return await client.post("/api/auth/refresh", headers=account.refresh_headers)


async def refreshed(client: httpx.AsyncClient, account: Account) -> Account:
    return with_tokens(account, await refresh(client, account))


async def me(client: httpx.AsyncClient, account: Account) -> httpx.Response:
    return await client.get("/api/auth/me", headers=account.headers)


async def change_password(
    client: httpx.AsyncClient, account: Account, current: str = PASSWORD, new: str = NEW_PASSWORD
) -> httpx.Response:
    return await client.post(
        "/api/auth/password", json={"current_password": current, "new_password": new}, headers=account.headers
    )
