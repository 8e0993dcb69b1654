"""Bodies that are dear to index: what takes a parser long is made for it by whoever wants to keep the database busy."""

from __future__ import annotations

import time

import httpx
import pytest
from tests.support.accounts import Accounts

UNITS = ["a_", "1_", "~/", "a-b.", "1.a-", "<!--", "<!---", "<!-- a ", "snake_case_", "a_" * 1000 + " "]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit)[:8])
async def test_no_body_takes_the_index_long(
    client: httpx.AsyncClient, accounts: Accounts, unit: str, method: str
) -> None:
    ann = await accounts.signed_in("ann")
    made = await client.post("/api/posts/", json={"title": "t", "body": "b"}, headers=ann.headers)
    path = "/api/posts/" if method == "POST" else made.headers["location"]
    body = (unit * (65_536 // len(unit) + 1))[:65_536]
    began = time.monotonic()

    answer = await client.request(method, path, json={"title": "t", "body": body}, headers=ann.headers)

    assert answer.is_success, answer.text
    assert answer.json()["body"] == body
    assert time.monotonic() - began < 2
