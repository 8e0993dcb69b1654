"""What waits for others who write: it neither dies of them nor turns time back."""

from __future__ import annotations

import asyncio
from datetime import datetime

import asyncpg
import httpx
from tests.support.accounts import Accounts
from tests.support.waiting import until_somebody_waits
from tests.support.writings import Writings


async def test_a_change_that_waited_is_newer_than_what_it_waited_for(
    client: httpx.AsyncClient, accounts: Accounts, writings: Writings, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    path = f"/api/posts/{await writings.post(ann)}"
    async with database.transaction():
        await database.execute("SELECT FROM posts FOR UPDATE")
        waiting = asyncio.create_task(client.patch(path, json={"title": "New"}, headers=ann.headers))
        await until_somebody_waits(database)
        earlier = await database.fetchval("UPDATE posts SET updated_at = clock_timestamp() RETURNING updated_at")

    changed = (await waiting).json()

    assert datetime.fromisoformat(changed["updated_at"]) > earlier
