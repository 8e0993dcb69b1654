"""What a process looks at once a second: how late its event loop is, its tasks, and how many connections are in use."""

from __future__ import annotations

import asyncio

from service import metrics
from service.context import Context

SECONDS = 1.0


async def beat_forever(context: Context) -> None:
    """Measure until cancelled."""
    loop = asyncio.get_running_loop()
    metrics.pool_size.set(sum(pool.size() for pool in context.pools()))
    while True:
        due = loop.time() + SECONDS
        await asyncio.sleep(SECONDS)
        metrics.loop_lag.observe(max(0.0, loop.time() - due))
        metrics.pool_in_use.set(context.connections_in_use())
        metrics.tasks.set(len(asyncio.all_tasks()))
