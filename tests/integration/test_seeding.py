"""Seeding a real database: all of what was asked for or nothing, whatever else is there and whoever else is at it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from service.context import Context, open_context
from service.embedded import Cluster
from service.errors import Unavailable, ValidationFailed
from service.services.seeding import EARLIEST, SeedingStopped, Wanted, seed
from tests.conftest import make_settings
from tests.support.instances import NewDatabase, Serve, connect
from tests.support.proxies import Proxy, proxied
from tests.support.waiting import until_somebody_waits

PASSWORD = "shared by them all"
WANTED = Wanted(users=100, posts=200, comments=300, seed=42)
UNTIL = datetime(2026, 5, 1, 12, tzinfo=UTC)
TABLES = ("users", "posts", "comments")
EVERYTHING = """
    SELECT username, email, is_active, users.created_at, posts.id, title, posts.body, posts.created_at,
        posts.updated_at, comments.body, comments.created_at, comments.updated_at
    FROM users LEFT JOIN posts ON posts.author_id = users.id LEFT JOIN comments ON comments.post_id = posts.id
    ORDER BY username, posts.id, comments.created_at
"""
# What a COMMIT waits for, at the end of all else.
HELD_COMMIT = """
    CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER held AFTER INSERT ON comments DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION held();
"""


@pytest.fixture
async def there(url: str) -> AsyncIterator[Context]:
    async with open_context(make_settings(), url) as context:
        yield context


async def fill(context: Context, wanted: Wanted = WANTED, progress: Callable[[int], None] = lambda _: None) -> bool:
    return await seed(context, wanted, password=PASSWORD, progress=progress)


async def counts(own: asyncpg.Connection) -> list[int]:
    return [await own.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]


async def test_there_is_what_was_asked_for(there: Context, own: asyncpg.Connection) -> None:
    told = list[int]()

    assert await fill(there, progress=told.append)

    assert await counts(own) == [WANTED.users, WANTED.posts, WANTED.comments]
    assert sum(told) == WANTED.rows
    assert await own.fetchval("SELECT count(*) FROM users WHERE role <> 'user' OR is_removed") == 0
    assert await own.fetchval("SELECT count(*) FROM users WHERE NOT is_active") == 2
    assert await own.fetchval("SELECT count(DISTINCT password_hash) FROM users") == 1


async def test_more_rows_than_one_batch_come_all(
    there: Context, own: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.repositories.copying.BATCH", 50)

    await fill(there, dataclasses.replace(WANTED, posts=149))

    assert await counts(own) == [100, 149, 300]


async def test_the_last_of_it_happened_just_now_by_the_databases_clock(there: Context, own: asyncpg.Connection) -> None:
    await fill(there, dataclasses.replace(WANTED, comments=3000))

    for table in TABLES:
        assert await own.fetchval(f"SELECT max(created_at) <= now() AND max(updated_at) <= now() FROM {table}")
    assert await own.fetchval("SELECT max(created_at) > now() - interval '1 day' FROM comments")


async def test_the_same_seed_and_end_give_the_same_rows(new_database: NewDatabase) -> None:
    found = list[list[asyncpg.Record]]()
    for taken_ids in (0, 7):
        url = await new_database()
        connection = await connect(url)
        try:
            await connection.execute("SELECT nextval('users_id_seq') FROM generate_series(1, $1)", taken_ids)
            async with open_context(make_settings(), url) as context:
                await fill(context, dataclasses.replace(WANTED, until=UNTIL))
            found.append(await connection.fetch(EVERYTHING))
        finally:
            await connection.close()

    assert len(found[0]) > WANTED.comments
    assert found[0] == found[1]


async def test_whoever_is_not_disabled_can_log_in_with_the_shared_password(
    serve: Serve, url: str, there: Context
) -> None:
    await fill(there)
    async with serve(url) as instance:
        for number, status in ((1, 200), (49, 200), (50, 403), (100, 403)):
            login = {"email": f"user{number}@seed-42.example.com", "password": PASSWORD}
            answer = await instance.client.post("/api/auth/login", json=login)
            assert answer.status_code == status, answer.text


async def test_the_tables_are_in_order_afterwards(there: Context, own: asyncpg.Connection) -> None:
    await fill(there)

    for table, rows in zip(TABLES, (100, 200, 300), strict=True):
        assert await own.fetchval("SELECT reltuples FROM pg_class WHERE oid = $1::regclass", table) == rows
    for index in ("ix_posts_search", "ix_users_trigrams"):
        assert await own.fetchval("SELECT gin_clean_pending_list($1::regclass)", index) == 0
    assert await own.fetchval("SELECT count(*) FROM posts WHERE search @@ to_tsquery('english', 'time')") > 0


# Other rows


async def test_a_second_run_with_another_seed_adds_to_what_is_there(there: Context, own: asyncpg.Connection) -> None:
    await fill(there)
    before = await own.fetch(EVERYTHING)

    await fill(there, dataclasses.replace(WANTED, seed=43))

    assert await counts(own) == [200, 400, 600]
    assert set(before) < set(await own.fetch(EVERYTHING))


@pytest.mark.parametrize("users", [100, 20, 150])
async def test_a_second_run_with_the_same_seed_makes_nothing_and_says_so(
    there: Context, own: asyncpg.Connection, users: int
) -> None:
    await fill(there)
    before = await own.fetch(EVERYTHING)

    with pytest.raises(SeedingStopped, match=r"names of --random-seed 42 are taken.*: nothing was made"):
        await fill(there, dataclasses.replace(WANTED, users=users))

    assert await own.fetch(EVERYTHING) == before


async def test_two_runs_at_once_with_the_same_seed_make_one(there: Context, own: asyncpg.Connection) -> None:
    ended = await asyncio.gather(fill(there), fill(there), return_exceptions=True)

    assert sorted(map(type, ended), key=str) == [bool, SeedingStopped]
    assert await counts(own) == [100, 200, 300]


async def test_two_runs_at_once_with_different_seeds_do_not_meet(there: Context, own: asyncpg.Connection) -> None:
    await asyncio.gather(fill(there), fill(there, dataclasses.replace(WANTED, seed=43)))

    assert await counts(own) == [200, 400, 600]
    assert await own.fetchval("SELECT count(*) FROM posts JOIN users ON users.id = author_id") == 400


# What is refused


@pytest.mark.parametrize(
    "until", [datetime.now(UTC) + timedelta(hours=1), EARLIEST - timedelta(seconds=1)], ids=["future", "too early"]
)
async def test_an_end_that_can_not_be_is_refused(there: Context, own: asyncpg.Connection, until: datetime) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await fill(there, dataclasses.replace(WANTED, until=until))

    assert [fault.pointer for fault in refused.value.faults] == ["/until"]
    assert await counts(own) == [0, 0, 0]


@pytest.mark.parametrize("password", ["password123", "User1@Seed-42.example.com"], ids=["common", "an email"])
async def test_a_password_that_is_easy_to_guess_is_refused(
    there: Context, own: asyncpg.Connection, password: str
) -> None:
    with pytest.raises(ValidationFailed):
        await seed(there, WANTED, password=password, progress=lambda _: None)

    assert await counts(own) == [0, 0, 0]


# What ends it early


async def stopped_while_held(
    context: Context, own: asyncpg.Connection, hold: str, stop: Callable[[asyncio.Task[bool]], Awaitable[object]]
) -> str:
    """Seed while something is held that it has to wait for, stop it there, and return what it says."""
    async with own.transaction():
        await own.execute(hold)
        task = asyncio.create_task(fill(context))
        await until_somebody_waits(own)
        await stop(task)
    with pytest.raises(SeedingStopped) as ended:
        await task
    return str(ended.value)


async def interrupt(task: asyncio.Task[bool]) -> None:
    task.cancel()


def lose(own: asyncpg.Connection) -> Callable[[asyncio.Task[bool]], Awaitable[object]]:
    """Return what ends the connection that waits."""

    async def end(_: asyncio.Task[bool]) -> None:
        await own.execute("SELECT pg_terminate_backend($1)", (await until_somebody_waits(own))[0])

    return end


AT_WORK = [("LOCK users", "accounts"), ("LOCK posts", "posts"), ("LOCK comments", "comments")]


@pytest.mark.parametrize("hold", [hold for hold, _ in AT_WORK], ids=[name for _, name in AT_WORK])
async def test_an_interrupted_run_makes_nothing(there: Context, own: asyncpg.Connection, hold: str) -> None:
    assert await stopped_while_held(there, own, hold, interrupt) == "interrupted: nothing was made"
    assert await counts(own) == [0, 0, 0]
    assert await fill(there)


async def test_an_interrupted_run_makes_nothing_while_rows_are_sent(there: Context, own: asyncpg.Connection) -> None:
    def interrupt_us(_: int) -> None:
        task.cancel()

    task = asyncio.create_task(fill(there, WANTED, interrupt_us))

    with pytest.raises(SeedingStopped, match=r"^interrupted: nothing was made$"):
        await task

    assert await counts(own) == [0, 0, 0]


@pytest.mark.parametrize("hold", [hold for hold, _ in AT_WORK], ids=[name for _, name in AT_WORK])
async def test_a_run_that_loses_its_database_makes_nothing(there: Context, own: asyncpg.Connection, hold: str) -> None:
    said = await stopped_while_held(there, own, hold, lose(own))

    assert said == "the database was lost or refused: nothing was made"
    assert await counts(own) == [0, 0, 0]


async def test_a_database_that_is_lost_between_two_batches_is_lost(there: Context, own: asyncpg.Connection) -> None:
    async def end_all() -> None:
        await own.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    ending = list[asyncio.Task[None]]()

    with pytest.raises(SeedingStopped, match="nothing was made"):
        await fill(there, WANTED, lambda _: ending.append(asyncio.create_task(end_all())))

    await asyncio.gather(*ending)
    assert await counts(own) == [0, 0, 0]


async def test_a_database_that_is_about_to_end_is_lost(
    url: str, own: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.repositories.copying.BATCH", 1)
    now = datetime.now(UTC)
    rows = [(id_, f"user{id_}", f"user{id_}@example.com", "none", True, now, now) for id_ in (1, 2)]

    async def copy(proxy: Proxy, context: Context) -> None:
        async with context.transaction() as work:
            async for _ in work.copying.users(iter(rows)):
                proxy.announce_the_end()
                await own.execute("SELECT")  # what else had come to this loop has been read then

    async with proxied(url) as (proxy, through), open_context(make_settings(), through) as context:
        with pytest.raises(Unavailable):
            await copy(proxy, context)

    assert await counts(own) == [0, 0, 0]


async def test_a_table_that_is_locked_is_waited_for_as_long_as_the_settings_say(
    url: str, own: asyncpg.Connection
) -> None:
    async with open_context(make_settings(lock_seconds=0.05), url) as context, own.transaction():
        await own.execute("LOCK posts")
        with pytest.raises(SeedingStopped, match="the database was lost or refused: nothing was made"):
            await fill(context)


async def test_an_interrupt_at_the_commit_comes_too_late(there: Context, own: asyncpg.Connection) -> None:
    await own.execute(HELD_COMMIT)

    said = await stopped_while_held(there, own, "SELECT pg_advisory_xact_lock(1)", interrupt)

    assert said == "interrupted: if there is a user1@seed-42.example.com all rows were made, else none"
    assert await counts(own) == [100, 200, 300]


async def test_of_a_database_that_is_lost_at_the_commit_nobody_knows(there: Context, own: asyncpg.Connection) -> None:
    await own.execute(HELD_COMMIT)

    said = await stopped_while_held(there, own, "SELECT pg_advisory_xact_lock(1)", lose(own))

    assert said.endswith(": if there is a user1@seed-42.example.com all rows were made, else none")
    assert await counts(own) == [0, 0, 0]


@pytest.mark.parametrize("what", ["interrupt", "loss"])
async def test_what_happens_while_the_tables_are_put_in_order_takes_no_row_away(
    there: Context, own: asyncpg.Connection, what: str
) -> None:
    stop = interrupt if what == "interrupt" else lose(own)

    said = await stopped_while_held(there, own, "LOCK posts IN SHARE UPDATE EXCLUSIVE MODE", stop)

    assert said.endswith(": all rows were made")
    assert await counts(own) == [100, 200, 300]


async def test_a_role_that_may_only_insert_seeds_and_is_told_that_the_tables_are_not_in_order(
    cluster: Cluster, url: str, own: asyncpg.Connection
) -> None:
    database = await own.fetchval("SELECT current_database()")
    role = f"{database}_writer"
    superuser = await connect(cluster.url(database, role="postgres"))
    try:
        await superuser.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p'")
        await superuser.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}")
        await superuser.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
        head, _, tail = url.partition("://postern:")
        async with open_context(make_settings(), f"{head}://{role}:p@{tail.partition('@')[2]}") as context:
            assert not await fill(context)
        assert await counts(own) == [100, 200, 300]
    finally:
        await superuser.execute(f"DROP OWNED BY {role}")
        await superuser.execute(f"DROP ROLE {role}")
        await superuser.close()
