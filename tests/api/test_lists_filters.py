"""Filters of a kind, and what a query says twice: each fault is named once, by its parameter and nothing of ours."""

from __future__ import annotations

import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.problems import assert_problem, said


def pointers(answer: httpx.Response) -> list[str]:
    return [fault["pointer"] for fault in assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]]


@pytest.mark.parametrize(
    "value", ["", "0", "-1", "x4711", "1.0", "1e0", "%2B1", "%201", "%D9%A1", str(2**63), "9" * 3000, "null", "1,2"]
)
async def test_an_author_is_named_by_an_id(client: httpx.AsyncClient, value: str) -> None:
    answer = await client.get(f"/api/posts/?author_id={value}")

    assert pointers(answer) == ["?author_id"]
    assert "4711" not in said(answer)
    assert "functools" not in answer.text


@pytest.mark.parametrize("value", ["", "1", "0", "yes", "x4711", "null", "%20true", "truex"])
async def test_an_account_is_active_or_not(client: httpx.AsyncClient, accounts: Accounts, value: str) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get(f"/api/users/?is_active={value}", headers=ann.headers)

    assert pointers(answer) == ["?is_active"]
    assert "4711" not in said(answer)


async def test_a_cursor_of_over_2000_characters_is_too_long(client: httpx.AsyncClient) -> None:
    assert pointers(await client.get("/api/posts/?cursor=" + "a" * 2001)) == ["?cursor"]


@pytest.mark.parametrize("cursor", ["", "AAAA"])
async def test_page_with_cursor_is_refused_by_name(client: httpx.AsyncClient, cursor: str) -> None:
    assert pointers(await client.get(f"/api/posts/?page=1&cursor={cursor}")) in (["?page"], ["?cursor"])
