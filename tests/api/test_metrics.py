"""What `/metrics` tells beside requests: refreshes, passwords, connections, and how late the event loop is."""

from __future__ import annotations

import asyncio
import re

import httpx
from service.context import Context
from service.pulse import SECONDS, beat_forever
from tests.support.accounts import Accounts
from tests.support.sessions import refreshed


async def measured(client: httpx.AsyncClient, name: str) -> float:
    """Return what a metric says, 0 if it is not there yet."""
    found = re.findall(rf"^{re.escape(name)} (\S+)$", (await client.get("/metrics")).text, re.MULTILINE)
    return float(found[0]) if found else 0.0


async def outcomes(client: httpx.AsyncClient) -> dict[str, float]:
    names = ("exchanged", "repeated", "reused", "refused")
    return {name: await measured(client, f'postern_refreshes_total{{outcome="{name}"}}') for name in names}


async def test_refreshes_are_counted_by_what_became_of_them(client: httpx.AsyncClient, accounts: Accounts) -> None:
    before = await outcomes(client)
    ann = await accounts.signed_in("ann")
    first = await refreshed(client, ann)
    assert (await client.post("/api/auth/refresh", headers=ann.refresh_headers)).status_code == 200
    await refreshed(client, first)
    for account in (ann, ann):
        assert (await client.post("/api/auth/refresh", headers=account.refresh_headers)).status_code == 401

    after = await outcomes(client)

    # The last one was refused at the door: its session had ended.
    assert {name: after[name] - before[name] for name in after} == {
        "exchanged": 2,
        "repeated": 1,
        "reused": 1,
        "refused": 0,
    }


async def test_no_password_is_under_way_when_all_have_been_checked(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.add("ann")
    await asyncio.gather(*(accounts.log_in(ann) for _ in range(3)))
    assert await measured(client, "postern_hashes_running") == 0
    assert await measured(client, "postern_hashes_waiting") == 0


async def test_the_wait_for_a_connection_is_measured(client: httpx.AsyncClient, accounts: Accounts) -> None:
    before = await measured(client, "postern_pool_wait_seconds_count")
    ann = await accounts.signed_in("ann")
    assert (await client.get("/api/auth/me", headers=ann.headers)).status_code == 200
    assert await measured(client, "postern_pool_wait_seconds_count") > before


async def test_a_process_looks_at_itself_once_a_second(client: httpx.AsyncClient, context: Context) -> None:
    before = await measured(client, "postern_loop_lag_seconds_count")
    beating = asyncio.create_task(beat_forever(context))
    async with context.engine.connect():
        await asyncio.sleep(SECONDS + 0.1)
        in_use = await measured(client, "postern_pool_in_use")
    beating.cancel()
    await asyncio.wait([beating])

    assert in_use >= 1
    assert await measured(client, "postern_pool_size") == context.settings.pool_size
    assert await measured(client, "postern_loop_lag_seconds_count") > before
