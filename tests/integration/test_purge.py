"""What has expired goes, and nothing else; by one process at a time, and again and again."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest
from service.context import Context, open_context
from service.models import Base
from service.repositories.expired import PURGE_LOCK
from service.services import purge
from sqlalchemy import Table
from tests.conftest import make_settings
from tests.support.instances import Serve

EXPIRING = ("sessions", "token_blocklist", "rate_counts", "login_failures", "idempotency_keys")
# One row of each table, that expires at the time `$1`.
ROWS = {
    "sessions": "(user_id, refresh_jti, expires_at, ends_at)"
    " SELECT id, gen_random_uuid(), now() + $1::interval, now() + '1 day' FROM users",
    "token_blocklist": "(id, expires_at) SELECT gen_random_uuid(), now() + $1::interval",
    "rate_counts": "(key, count, expires_at) SELECT gen_random_uuid(), 1, now() + $1::interval",
    "login_failures": "(account, network, expires_at) SELECT gen_random_uuid(), '', now() + $1::interval",
    "idempotency_keys": "(user_id, scope, request, status, body, location, etag, expires_at)"
    " SELECT id, uuid_send(gen_random_uuid()), '', 201, '', '', '', now() + $1::interval FROM users",
}
PAST, FUTURE = "-1 second", "1 hour"


@pytest.fixture(autouse=True)
async def ann(own: asyncpg.Connection) -> None:
    """The one whose rows they are."""
    await own.execute("INSERT INTO users (username, email, password_hash) VALUES ('ann', 'a', 'x')")


@pytest.fixture
async def there(url: str) -> AsyncIterator[Context]:
    """What a process works with that does nothing by itself."""
    async with open_context(make_settings(), url) as context:
        yield context


async def add(own: asyncpg.Connection, table: str, expires_in: str, count: int = 1) -> None:
    # asyncpg takes an interval for a timedelta only.
    statement = ROWS[table].replace("$1", f"'{expires_in}'")
    separator = "," if " FROM " in statement else " FROM"
    await own.execute(f"INSERT INTO {table} {statement}{separator} generate_series(1, {count})")


async def counts(own: asyncpg.Connection) -> list[int]:
    return [await own.fetchval(f"SELECT count(*) FROM {table}") for table in EXPIRING]


async def left(own: asyncpg.Connection) -> dict[str, int]:
    return {table: count for table, count in zip(EXPIRING, await counts(own), strict=True) if count}


async def until_empty(own: asyncpg.Connection) -> None:
    async with asyncio.timeout(5):
        while any(await counts(own)):  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.005)


def tables() -> dict[str, Table]:
    return {table.name: table for table in Base.metadata.sorted_tables}


def test_every_table_whose_rows_expire_is_covered() -> None:
    assert {name for name, table in tables().items() if "expires_at" in table.c} == set(EXPIRING)


@pytest.mark.parametrize("name", EXPIRING)
async def test_what_has_expired_is_found_by_an_index(own: asyncpg.Connection, name: str) -> None:
    indexes = [[column.name for column in index.columns] for index in tables()[name].indexes]
    assert ["expires_at"] in indexes
    assert await own.fetchval(
        "SELECT count(*) FROM pg_indexes WHERE tablename = $1 AND indexdef LIKE '%(expires_at)'", name
    )


@pytest.mark.parametrize("name", EXPIRING)
async def test_only_expired_rows_go(there: Context, own: asyncpg.Connection, name: str) -> None:
    await add(own, name, PAST, 3)
    await add(own, name, FUTURE, 2)

    assert await purge.purge(there) == 3

    assert await own.fetchval(f"SELECT count(*) FROM {name} WHERE expires_at > now()") == 2
    assert sum(await counts(own)) == 2
    assert await own.fetchval("SELECT count(*) FROM users") == 1


async def test_a_session_that_ended_stays_until_it_expires(there: Context, own: asyncpg.Connection) -> None:
    """Its refresh tokens are to be told as revoked for as long as they are signed for."""
    await add(own, "sessions", FUTURE)
    await own.execute("UPDATE sessions SET ended_at = now()")

    assert await purge.purge(there) == 0
    assert await left(own) == {"sessions": 1}


async def test_more_rows_than_one_batch_go_all(there: Context, own: asyncpg.Connection) -> None:
    for name in EXPIRING:
        await add(own, name, PAST, 2 * purge.BATCH + 1)

    assert await purge.purge(there) == len(EXPIRING) * (2 * purge.BATCH + 1)
    assert await left(own) == {}


async def test_a_batch_takes_the_oldest_rows_of_each_table(there: Context, own: asyncpg.Connection) -> None:
    for name in EXPIRING:
        await add(own, name, "-1 hour", 2)
        await add(own, name, PAST, 2)

    async with there.transaction() as work:
        assert await work.expired.remove(limit=2) == 2 * len(EXPIRING)

    for name in EXPIRING:
        assert await own.fetchval(f"SELECT count(*) FROM {name} WHERE expires_at > now() - interval '1 minute'") == 2


async def test_nothing_is_done_while_another_process_is_at_it(there: Context, own: asyncpg.Connection) -> None:
    await add(own, "sessions", PAST)
    async with own.transaction():
        await own.execute("SELECT pg_advisory_xact_lock($1)", PURGE_LOCK)
        assert await purge.purge(there) == 0
        assert await left(own) == {"sessions": 1}

    assert await purge.purge(there) == 1


async def test_two_processes_at_once_remove_each_row_once(there: Context, url: str, own: asyncpg.Connection) -> None:
    for name in EXPIRING:
        await add(own, name, PAST, 1500)
    async with open_context(make_settings(), url) as other:
        removed = await asyncio.gather(*(purge.purge(context) for context in (there, other) * 3))

    assert sum(removed) == len(EXPIRING) * 1500
    assert await left(own) == {}


async def test_a_row_that_somebody_holds_stays_for_the_next_time(there: Context, own: asyncpg.Connection) -> None:
    await add(own, "login_failures", PAST, 2)
    async with own.transaction():
        await own.execute("SELECT FROM login_failures LIMIT 1 FOR UPDATE")
        assert await purge.purge(there) == 1

    assert await purge.purge(there) == 1


async def test_a_session_and_its_blocklist_entry_go_with_no_trace_of_others(
    there: Context, own: asyncpg.Connection
) -> None:
    kept = uuid.uuid4()
    await own.execute("INSERT INTO token_blocklist VALUES ($1, now() + interval '1 minute')", kept)
    await add(own, "token_blocklist", PAST)

    await purge.purge(there)

    assert [row["id"] for row in await own.fetch("SELECT id FROM token_blocklist")] == [kept]


# In the background


async def test_an_application_purges_again_and_again(serve: Serve, url: str, own: asyncpg.Connection) -> None:
    async with serve(url, purge_seconds=0.02):
        for _ in range(3):
            for name in EXPIRING:
                await add(own, name, PAST)
            await until_empty(own)


async def test_purging_survives_a_database_that_refuses(
    serve: Serve, url: str, own: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await add(own, "sessions", PAST)
    async with serve(url, purge_seconds=0.02, lock_seconds=0.05):
        async with own.transaction():
            await own.execute("LOCK TABLE sessions")
            await until_said(caplog, "purging stopped")
        await until_empty(own)


async def test_purging_survives_a_bug(
    serve: Serve, url: str, own: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await add(own, "sessions", PAST)
    await own.execute("ALTER TABLE rate_counts RENAME TO away")
    async with serve(url, purge_seconds=0.02):
        await until_said(caplog, "purging failed")
        await own.execute("ALTER TABLE away RENAME TO rate_counts")
        await until_empty(own)


async def until_said(caplog: pytest.LogCaptureFixture, message: str) -> None:
    async with asyncio.timeout(5):
        while message not in caplog.text:  # noqa: ASYNC110 - another task is waited for
            await asyncio.sleep(0.005)


async def test_an_application_that_stops_purges_no_more(serve: Serve, url: str, own: asyncpg.Connection) -> None:
    before = purging()
    async with serve(url, purge_seconds=0.02):
        assert len(purging()) == len(before) + 1
    await add(own, "sessions", PAST)
    await asyncio.sleep(0.1)

    assert purging() == before  # that of the run's application
    assert await left(own) == {"sessions": 1}


def purging() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if "purge_forever" in repr(task)}


async def test_no_value_of_anybody_is_logged(
    serve: Serve, url: str, own: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "postern")
    await own.execute("INSERT INTO rate_counts VALUES ('secret-4711', 1, now() - interval '1 second')")
    async with serve(url, purge_seconds=0.02):
        await until_said(caplog, "purged 1 rows")

    assert "4711" not in caplog.text
