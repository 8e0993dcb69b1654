"""Accounts on whose rows others' rows hang, deleted at once."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import httpx
from tests.support.accounts import Accounts
from tests.support.waiting import until_each_waits
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
            await until_each_waits(database, deletions)

    assert [answer.status_code for answer in await asyncio.gather(*deletions)] == [204, 204]
    assert await database.fetchval("SELECT array_agg(username) FROM users") == ["zoe"]


async def test_a_post_is_deleted_beside_an_account_that_commented_on_it(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection
) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.signed_in("bob")
    post_id = await writings.post(ann)
    await database.executemany(  # the last id lies first and is the oldest: no cascade takes them in the order of ids
        "INSERT INTO comments (id, post_id, author_id, body, created_at)"
        " VALUES ($1, $2, $3, 'A comment', now() - $1::bigint * interval '1 hour')",
        [(id_, uuid.UUID(post_id), bob.id) for id_ in (3, 2, 1)],
    )
    async with database.transaction():
        await database.execute("SELECT FROM comments WHERE id = 2 FOR UPDATE")
        deletions = []
        for path, by in ((f"/api/posts/{post_id}", ann), (f"/api/users/{bob.id}", bob)):
            deletions.append(asyncio.create_task(client.delete(path, headers=by.headers)))
            await until_each_waits(database, deletions)

    assert [answer.status_code for answer in await asyncio.gather(*deletions)] == [204, 204]
    assert await database.fetchval("SELECT array_agg(username) FROM users") == ["ann"]
