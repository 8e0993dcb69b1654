"""What somebody writes at the moment at which their account is deleted."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts


@pytest.mark.parametrize("comments", [1, 6])
async def test_an_account_that_comments_on_its_own_post_can_be_deleted(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, comments: int
) -> None:
    for number in range(10):
        ann = await accounts.signed_in(f"ann{number}")
        post = await client.post("/api/posts/", json={"title": "t", "body": "b"}, headers=ann.headers)
        beneath = f"{post.headers['location']}/comments"

        deleted, *written = await asyncio.gather(
            client.delete(f"/api/users/{ann.id}", headers=ann.headers),
            *(client.post(beneath, json={"body": "b"}, headers=ann.headers) for _ in range(comments)),
        )

        assert deleted.status_code == 204
        assert {answer.status_code for answer in written} <= {201, 401, 404}
    assert await database.fetchval("SELECT count(*) FROM comments") == 0
