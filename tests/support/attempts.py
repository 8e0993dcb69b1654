"""Requests that count: from an address of the test's choice, to an application behind one proxy of ours."""

from __future__ import annotations

from typing import Any

import httpx
from tests.support.accounts import PASSWORD

# An application that believes one proxy, and counts.
COUNTING: dict[str, Any] = {"rate_limit_enabled": True, "trusted_proxies": 1}
# One on which nothing but the lock on guessing refuses anybody.
LOCKING: dict[str, Any] = COUNTING | dict.fromkeys(
    ["login_rate", "login_account_rate", "registration_rate", "refresh_rate", "token_rate", "password_rate"], 1_000_000
)
ADDRESS = "198.51.100.7"
ALLOWANCE = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
FORM = "application/x-www-form-urlencoded"


def forwarded(address: str) -> dict[str, str]:
    """What the proxy adds for a client with this address."""
    return {"X-Forwarded-For": address}


async def log_in(
    client: httpx.AsyncClient, email: str, password: str = PASSWORD, *, address: str = ADDRESS
) -> httpx.Response:
    return await client.post("/api/auth/login", json={"email": email, "password": password}, headers=forwarded(address))


async def ask_for_token(client: httpx.AsyncClient, *, address: str = ADDRESS, **parameters: str) -> httpx.Response:
    """Send a form to OAuth's route."""
    return await client.post("/api/auth/token", data=parameters, headers=forwarded(address))


def allowance(answer: httpx.Response) -> tuple[int, int]:
    """Of so many requests, how many are left."""
    return int(answer.headers["ratelimit-limit"]), int(answer.headers["ratelimit-remaining"])


def has_allowance(answer: httpx.Response) -> bool:
    """Whether the answer tells of a rate; of the three headers there are all or none."""
    told = {name for name in ALLOWANCE if name in answer.headers}
    assert told in (set(), set(ALLOWANCE))
    return bool(told)
