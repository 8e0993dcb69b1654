"""Waiting until statements of the service wait for a lock that a test holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def until_somebody_waits(database: asyncpg.Connection, count: int = 1) -> list[int]:
    """Return the processes of the database that wait for a lock, once there are so many."""
    async with asyncio.timeout(10):
        while len(waiting := await _who_waits(database)) < count:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.005)
    return waiting


async def until_each_waits(database: asyncpg.Connection, requests: Sequence[asyncio.Future[Any]]) -> None:
    """Wait until each of the requests waits for a lock, or is answered."""
    async with asyncio.timeout(10):
        while len(await _who_waits(database)) + sum(request.done() for request in requests) < len(requests):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)


async def _who_waits(database: asyncpg.Connection) -> list[int]:
    await database.execute("SELECT pg_stat_clear_snapshot()")  # a transaction keeps the first answer it got
    return [row["pid"] for row in await database.fetch(WAITING)]
