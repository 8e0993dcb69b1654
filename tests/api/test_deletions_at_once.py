"""Accounts on whose rows others' rows hang, deleted at once."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx
from tests.support.accounts import Accounts
from tests.support.writings import Writings


async def test_accounts_that_commented_on_each_other_are_deleted_at_once(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection
) -> None:
    ann, bob, zoe = await accounts.signed_in("ann"), await accounts.signed_in("bob"), await accounts.add("zoe")
    anns, bobs = await writings.post(ann), await writings.post(bob)
    first = await writings.comment(anns, zoe)
    await writings.comment(anns, bob)
    await writings.comment(bobs, ann)
    async with database.transaction():
        await database.execute("SELECT FROM comments WHERE id = $1 FOR UPDATE", first)
        deletions = []
        for account in (ann, bob):
            deletions.append(asyncio.create_task(client.delete(f"/api/users/{account.id}", headers=account.headers)))
            await asyncio.sleep(0.2)  # by then it waits, with locks of its own

    assert [answer.status_code for answer in await asyncio.gather(*deletions)] == [204, 204]
    assert await database.fetchval("SELECT array_agg(username) FROM users") == ["zoe"]
