"""Waiting until statements of the service wait for a lock that a test holds."""

from __future__ import annotations

import asyncio

import asyncpg

WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def until_somebody_waits(database: asyncpg.Connection, count: int = 1) -> list[int]:
    """Return the processes of the database that wait for a lock, once there are so many."""
    async with asyncio.timeout(10):
        while True:
            await database.execute("SELECT pg_stat_clear_snapshot()")  # a transaction keeps the first answer it got
            waiting = [row["pid"] for row in await database.fetch(WAITING)]
            if len(waiting) >= count:
                return waiting
            await asyncio.sleep(0.005)
