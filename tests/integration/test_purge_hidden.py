"""What is hidden since it was too much to go at once goes in batches, whatever others do meanwhile (ADR 9)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest
from service.context import Context, open_context
from service.repositories.expired import PURGE_LOCK
from service.services import purge
from tests.conftest import make_settings
from tests.support.accounts import Account, Accounts
from tests.support.instances import Serve
from tests.support.things import KINDS, TABLES, Things

COMMENTS = 2 * purge.BATCH + 300


@pytest.fixture
async def there(url: str) -> AsyncIterator[Context]:
    """What a process works with that does nothing by itself, and does not wait for locks for long."""
    async with open_context(make_settings(lock_seconds=0.3), url) as context:
        yield context


@pytest.fixture
async def hidden(serve: Serve, url: str, own: asyncpg.Connection) -> Account:
    """ann, who has been deleted over HTTP: with posts, one of them with many comments of bob's, and many on bob's.

    One more post of bob's is hidden, too. What is left of bob's is a post with one comment.
    """
    async with serve(url) as instance:
        accounts = Accounts(instance.client, own)
        things = Things(instance.client, accounts, own)
        ann, bob = await accounts.signed_in("ann"), await accounts.signed_in("bob")
        bobs = await things.post(bob, comments=1)
        await things.posts(ann, 600)
        await things.comments(await things.post(ann), bob, COMMENTS)
        await things.comments(bobs, ann, COMMENTS)
        large = await things.post(bob, comments=COMMENTS)
        async with own.transaction():
            await own.execute("SELECT pg_advisory_xact_lock($1)", PURGE_LOCK)  # the application purges at once
            assert (await instance.client.delete(f"/api/posts/{large}", headers=bob.headers)).status_code == 204
            assert (await instance.client.delete(f"/api/users/{ann.id}", headers=ann.headers)).status_code == 204
    return ann


ALL = {"user": 1, "post": 602, "comment": 3 * COMMENTS}
SESSIONS = 1  # ann's, which is hidden with her
LEFT = {"user": 1, "post": 1, "comment": 1}


async def left(own: asyncpg.Connection) -> dict[str, int]:
    return {kind: await own.fetchval(f"SELECT count(*) FROM {TABLES[kind]}") for kind in KINDS}


async def test_nothing_of_it_is_gone_before_and_all_of_it_after_a_purge(
    there: Context, own: asyncpg.Connection, hidden: Account
) -> None:
    assert await left(own) == Counter(ALL) + Counter(LEFT)

    await purge.purge(there)

    assert await left(own) == LEFT
    assert await own.fetchval("SELECT count(*) FROM sessions WHERE user_id = $1", hidden.id) == 0
    assert await own.fetchval("SELECT count(*) FROM users WHERE username = 'bob'") == 1
    assert await purge.purge(there) == 0


async def test_what_is_removed_is_counted(there: Context, own: asyncpg.Connection, hidden: Account) -> None:
    assert await purge.purge(there) == sum(ALL.values()) + SESSIONS


async def test_no_statement_removes_more_rows_than_a_batch(
    there: Context, own: asyncpg.Connection, hidden: Account
) -> None:
    await own.execute("CREATE TABLE removals (kind text, rows bigint)")
    await own.execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO removals SELECT TG_TABLE_NAME, count(*) FROM gone; RETURN NULL; END $$"
    )
    for table in TABLES.values():
        await own.execute(
            f"CREATE TRIGGER note AFTER DELETE ON {table} REFERENCING OLD TABLE AS gone"
            " FOR EACH STATEMENT EXECUTE FUNCTION note()"
        )

    await purge.purge(there)

    assert await own.fetchval("SELECT max(rows) FROM removals") == purge.BATCH
    total = await own.fetch("SELECT kind, sum(rows)::int AS rows FROM removals GROUP BY kind")
    assert {row["kind"]: row["rows"] for row in total} == {TABLES[kind]: count for kind, count in ALL.items()}


async def test_a_batch_that_is_rolled_back_loses_nothing(
    there: Context, own: asyncpg.Connection, hidden: Account
) -> None:
    for _ in range(3):
        async with there.transaction() as work:
            assert await work.hidden.remove(limit=purge.BATCH) > 0
    before = await left(own)
    with pytest.raises(KeyError):
        await remove_and_fail(there)
    assert await left(own) == before

    await purge.purge(there)
    assert await left(own) == LEFT


async def remove_and_fail(there: Context) -> None:
    async with there.transaction() as work:
        await work.hidden.remove(limit=purge.BATCH)
        raise KeyError


async def test_a_connection_that_dies_between_batches_loses_nothing(
    there: Context, own: asyncpg.Connection, hidden: Account
) -> None:
    running = asyncio.create_task(purge.purge(there))
    async with asyncio.timeout(5):
        while (await left(own))["comment"] == ALL["comment"] + 1:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.001)
    await own.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await asyncio.gather(running, return_exceptions=True)

    await purge.purge(there)
    assert await left(own) == LEFT


HELD = {
    "a comment on a hidden post": "SELECT FROM comments c JOIN posts p ON p.id = c.post_id WHERE p.is_removed LIMIT 1",
    "a comment on a post of theirs": "SELECT FROM comments c JOIN posts p ON p.id = c.post_id"
    " WHERE p.author_id = $1 LIMIT 1",
    "a comment of theirs": "SELECT FROM comments c WHERE c.author_id = $1 LIMIT 1",
    "a post of theirs": "SELECT FROM posts p WHERE p.author_id = $1 LIMIT 1",
    "a hidden post": "SELECT FROM posts p WHERE p.is_removed LIMIT 1",
    "the account": "SELECT FROM users u WHERE u.id = $1",
    "a session of theirs": "SELECT FROM sessions s WHERE s.user_id = $1",
}


@pytest.mark.parametrize("held", HELD.values(), ids=HELD.keys())
async def test_what_somebody_holds_stays_for_the_next_time_and_stops_nobody(
    there: Context, own: asyncpg.Connection, hidden: Account, held: str
) -> None:
    lock = f" FOR UPDATE OF {held.split()[3]}"
    async with own.transaction():
        await own.fetch(held + lock, *([hidden.id] if "$1" in held else []))
        removed = await purge.purge(there)

    assert removed > 0
    await purge.purge(there)
    assert await left(own) == LEFT


async def test_processes_that_purge_at_once_remove_each_row_once(
    there: Context, url: str, own: asyncpg.Connection, hidden: Account
) -> None:
    async with open_context(make_settings(), url) as other:
        removed = await asyncio.gather(*(purge.purge(context) for context in (there, other) * 2))

    assert sum(removed) == sum(ALL.values()) + SESSIONS
    assert await left(own) == LEFT


async def test_what_comes_under_a_hidden_post_meanwhile_goes_too(
    there: Context, own: asyncpg.Connection, hidden: Account
) -> None:
    """As the last statement of a request does that had seen the post before it was hidden."""
    await own.execute(
        "INSERT INTO comments (post_id, author_id, body) SELECT p.id, u.id, 'late' FROM posts p, users u"
        " WHERE p.author_id = $1 AND u.username = 'bob'",
        hidden.id,
    )
    await own.execute("INSERT INTO posts (author_id, title, body) VALUES ($1, 'late', 'late')", hidden.id)

    await purge.purge(there)

    assert await left(own) == LEFT


async def test_an_application_removes_it_by_itself(
    serve: Serve, url: str, own: asyncpg.Connection, hidden: Account
) -> None:
    async with serve(url, purge_seconds=0.05), asyncio.timeout(10):
        while await left(own) != LEFT:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.02)
