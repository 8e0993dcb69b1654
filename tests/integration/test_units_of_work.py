"""Transactions and connections: what is committed, what goes back to the pool, and what a client sees meanwhile."""

from __future__ import annotations

import asyncio
import traceback
import uuid
from contextlib import suppress
from functools import partial
from typing import Any, cast

import asyncpg
import httpx
import pytest
from service.context import Context, open_context
from service.errors import EmailTaken, Forbidden, Unavailable, UsernameTaken
from service.repositories.reads import Alone
from service.repositories.refusals import StatementFailed
from service.services import users
from service.services.principal import Principal
from sqlalchemy import text
from sqlalchemy.pool import QueuePool
from tests.conftest import make_settings
from tests.support.accounts import PASSWORD, Account, Accounts
from tests.support.instances import Instance, Serve
from tests.support.problems import assert_problem
from tests.support.proxies import Proxy, proxied
from tests.support.waiting import until_somebody_waits

ANN = {"username": "ann", "email": "ann@example.com", "password_hash": "x"}
BACKENDS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'postern'"


def checked_out(context: Context) -> int:
    return cast(QueuePool, context.engine.pool).checkedout()


async def signed_in(instance: Instance, own: asyncpg.Connection, name: str = "ann", role: str = "user") -> Account:
    return await Accounts(instance.client, own).signed_in(name, role=role)


async def until_all_are_back(context: Context) -> None:
    """Wait until no connection is in use."""
    async with asyncio.timeout(5):
        while checked_out(context):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.005)


async def until_active(own: asyncpg.Connection, query: str) -> None:
    """Wait until a backend of the application runs such a statement."""
    async with asyncio.timeout(5):
        while not await active(own, query):  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.005)


async def active(own: asyncpg.Connection, query: str) -> bool:
    await own.execute("SELECT pg_stat_clear_snapshot()")  # a transaction keeps the first answer it got
    found: bool = await own.fetchval(f"SELECT count(*) > 0 {BACKENDS} AND state = 'active' AND query LIKE $1", query)
    return found


# What is committed


async def test_a_block_that_ends_normally_is_committed(context: Context, database: asyncpg.Connection) -> None:
    async with context.transaction() as work:
        user = await work.users.add(**ANN)
        assert await database.fetchval("SELECT count(*) FROM users") == 0

    assert await database.fetchval("SELECT username FROM users WHERE id = $1", user.id) == "ann"


@pytest.mark.parametrize("error", [Forbidden(), RuntimeError("a bug"), asyncio.CancelledError()], ids=repr)
async def test_a_block_that_raises_is_rolled_back(
    context: Context, database: asyncpg.Connection, error: BaseException
) -> None:
    async def block() -> None:
        async with context.transaction() as work:
            await work.users.add(**ANN)
            raise error

    with pytest.raises(type(error)) as raised:
        await block()

    assert raised.value is error
    assert await database.fetchval("SELECT count(*) FROM users") == 0
    assert checked_out(context) == 0


async def test_a_block_without_a_statement_takes_no_connection(context: Context) -> None:
    async with context.transaction():
        assert checked_out(context) == 0


async def test_a_transaction_begins_with_its_first_statement_and_holds_one_connection(
    context: Context, database: asyncpg.Connection
) -> None:
    async with context.transaction() as work:
        await work.users.get(1)
        await work.users.get(2)
        assert checked_out(context) == 1
        assert await database.fetchval(f"SELECT count(*) {BACKENDS} AND state = 'idle in transaction'") == 1


async def test_a_reading_is_in_no_transaction(context: Context, database: asyncpg.Connection) -> None:
    await context.reading.users.get(1)
    assert await database.fetchval(f"SELECT count(*) {BACKENDS} AND state LIKE 'idle in transaction%'") == 0
    assert checked_out(context) == 0


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [({"username": "bob"}, EmailTaken), ({"email": "bob@example.com"}, UsernameTaken)],
    ids=["email", "username"],
)
async def test_a_name_that_is_taken_is_refused_at_the_end_of_the_block(
    context: Context, database: asyncpg.Connection, changes: dict[str, str], refusal: type[Exception]
) -> None:
    async with context.transaction() as work:
        await work.users.add(**ANN)

    with pytest.raises(refusal):
        async with context.transaction() as work:
            await work.users.add(**(ANN | changes))
    assert await database.fetchval("SELECT count(*) FROM users") == 1


async def test_another_constraint_is_a_bug(context: Context, database: asyncpg.Connection) -> None:
    with pytest.raises(StatementFailed):
        async with context.transaction() as work:
            await work.users.add(**ANN, role="root")
    assert checked_out(context) == 0


async def test_an_error_of_the_database_shows_no_values(context: Context, database: asyncpg.Connection) -> None:
    password_hash = uuid.uuid4().hex

    with pytest.raises(StatementFailed) as raised:
        async with context.transaction() as work:
            await work.users.add(**(ANN | {"password_hash": password_hash}), role="root")

    assert password_hash not in "".join(traceback.format_exception(raised.value))


# Overload


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_pool_that_is_exhausted_is_a_503(serve: Serve, url: str, own: asyncpg.Connection, method: str) -> None:
    async with serve(url, pool_size=1, pool_wait_seconds=0.1) as instance:
        ann = await signed_in(instance, own)
        async with instance.context.engine.connect():
            answer = await instance.client.request(method, f"/api/users/{ann.id}", headers=ann.headers)
        assert_problem(answer, 503, "UNAVAILABLE")
        assert int(answer.headers["retry-after"]) >= 1

        assert (await instance.client.get("/api/auth/me", headers=ann.headers)).status_code == 200


async def test_more_requests_than_connections_are_all_served(serve: Serve, url: str, own: asyncpg.Connection) -> None:
    async with serve(url, pool_size=2) as instance:
        ann = await signed_in(instance, own)

        answers = await asyncio.gather(*(instance.client.get("/api/users/", headers=ann.headers) for _ in range(40)))

        assert {answer.status_code for answer in answers} == {200}
        assert await own.fetchval(f"SELECT count(*) {BACKENDS}") <= 2


@pytest.mark.parametrize(
    "limits",
    [{"statement_seconds": 0.2, "lock_seconds": 5}, {"statement_seconds": 5, "lock_seconds": 0.2}],
    ids=["statement_timeout", "lock_timeout"],
)
async def test_a_row_that_stays_locked_is_a_503(
    serve: Serve, url: str, own: asyncpg.Connection, limits: dict[str, float]
) -> None:
    async with serve(url, **limits) as instance:
        ann = await signed_in(instance, own)
        path, change = f"/api/users/{ann.id}", {"username": "anna"}
        async with own.transaction():
            await own.execute("SELECT * FROM users FOR UPDATE")
            answer = await instance.client.patch(path, json=change, headers=ann.headers)
        assert_problem(answer, 503, "UNAVAILABLE")
        assert await own.fetchval("SELECT username FROM users") == "ann"

        assert (await instance.client.patch(path, json=change, headers=ann.headers)).status_code == 200


async def test_a_database_that_turned_read_only_is_a_503(serve: Serve, url: str, own: asyncpg.Connection) -> None:
    name = await own.fetchval("SELECT current_database()")
    async with serve(url) as instance:
        ann = await signed_in(instance, own)
        await own.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await terminate(own)
        answer = await instance.client.patch(f"/api/users/{ann.id}", json={"username": "anna"}, headers=ann.headers)

    assert_problem(answer, 503, "UNAVAILABLE")


async def test_a_pool_that_leads_to_a_standby_is_dropped(serve: Serve, url: str, own: asyncpg.Connection) -> None:
    name = await own.fetchval("SELECT current_database()")
    async with serve(url) as instance:
        ann = await signed_in(instance, own)
        rename = partial(instance.client.patch, f"/api/users/{ann.id}", headers=ann.headers)
        await own.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await terminate(own)
        await asyncio.gather(*(rename(json={"username": f"ann{number}"}) for number in range(5)))
        await own.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await rename(json={"username": "anna"})  # whatever connection is left over tells

        answers = [await rename(json={"username": f"anna{number}"}) for number in range(5)]

    assert [answer.status_code for answer in answers] == [200] * 5


async def test_a_database_that_refuses_more_connections_is_a_503(
    serve: Serve, url: str, own: asyncpg.Connection
) -> None:
    name = await own.fetchval("SELECT current_database()")
    async with serve(url) as instance:
        ann = await signed_in(instance, own)
        await own.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        await terminate(own)

        assert_problem(await instance.client.get("/api/auth/me", headers=ann.headers), 503, "UNAVAILABLE")


# Connections that died


async def terminate(own: asyncpg.Connection) -> None:
    """End every connection of the application, as a restart of the server does."""
    await own.execute(f"SELECT pg_terminate_backend(pid) {BACKENDS}")
    async with asyncio.timeout(5):
        while await own.fetchval(f"SELECT count(*) {BACKENDS}"):  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.005)


async def fill_pool(instance: Instance, count: int = 5) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(sleep_in_database(instance))


async def sleep_in_database(instance: Instance) -> None:
    await Alone(instance.context.engine).rows(text("SELECT pg_sleep(0.05)"))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/auth/me", None),
        ("GET", "/api/users/", None),
        ("GET", "/readyz", None),
        ("PATCH", "/api/users/1", {"username": "anna"}),
        ("POST", "/api/auth/login", {"email": "ann@example.com", "password": PASSWORD}),
        ("POST", "/api/users/", {"username": "bob", "email": "bob@example.com", "password": PASSWORD}),
        ("DELETE", "/api/auth/logout", None),
    ],
)
async def test_after_every_connection_died_the_next_request_succeeds(
    serve: Serve, url: str, own: asyncpg.Connection, method: str, path: str, body: dict[str, str] | None
) -> None:
    async with serve(url) as instance:
        ann = await signed_in(instance, own)
        await fill_pool(instance)
        await terminate(own)

        answer = await instance.client.request(method, path, json=body, headers=ann.headers)

        assert answer.status_code in (200, 201), answer.text
        assert checked_out(instance.context) == 0


async def test_one_connection_found_dead_has_all_of_the_pool_replaced(
    serve: Serve, url: str, own: asyncpg.Connection
) -> None:
    async with serve(url) as instance:
        await fill_pool(instance)
        before = [row["pid"] for row in await own.fetch(f"SELECT pid {BACKENDS}")]
        await own.execute("SELECT pg_terminate_backend($1)", before[0])
        async with asyncio.timeout(5):
            while await own.fetchval(f"SELECT count(*) {BACKENDS}") == len(before):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)

        for _ in before:
            await sleep_in_database(instance)
        await fill_pool(instance)

        now = [row["pid"] for row in await own.fetch(f"SELECT pid {BACKENDS}")]
        assert len(before) == len(now) == 5
        assert not set(before) & set(now)


async def test_a_connection_that_dies_during_a_write_is_a_503(serve: Serve, url: str, own: asyncpg.Connection) -> None:
    async with serve(url) as instance:
        ann = await signed_in(instance, own)
        path, change = f"/api/users/{ann.id}", {"username": "anna"}
        async with own.transaction():
            await own.execute("SELECT * FROM users FOR UPDATE")
            writing = asyncio.create_task(instance.client.patch(path, json=change, headers=ann.headers))
            await until_active(own, "%FOR NO KEY UPDATE%")
            await own.execute(f"SELECT pg_terminate_backend(pid) {BACKENDS} AND state = 'active'")
            answer = await writing

        assert_problem(answer, 503, "UNAVAILABLE")
        assert (await instance.client.patch(path, json=change, headers=ann.headers)).status_code == 200
        assert checked_out(instance.context) == 0


async def test_a_connection_that_dies_during_a_read_is_not_noticed(
    serve: Serve, url: str, own: asyncpg.Connection
) -> None:
    async with serve(url) as instance:
        ann = await signed_in(instance, own)
        async with own.transaction():
            await own.execute("LOCK TABLE token_blocklist IN ACCESS EXCLUSIVE MODE")
            reading = asyncio.create_task(instance.client.get("/api/auth/me", headers=ann.headers))
            await until_active(own, "%token_blocklist%")
            await own.execute(f"SELECT pg_terminate_backend(pid) {BACKENDS} AND state = 'active'")
        assert (await reading).status_code == 200
        assert checked_out(instance.context) == 0


@pytest.mark.parametrize("heard", [True, False], ids=["before it is asked", "as an answer"])
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/users/", None, 200),
        ("PATCH", "/api/users/1", {"username": "anna"}, 200),  # it reads first, and all connections are replaced
        ("POST", "/api/users/", {"username": "bob", "email": "bob@example.com", "password": PASSWORD}, 503),
    ],
)
async def test_a_connection_that_is_about_to_end_is_like_one_that_has_ended(
    serve: Serve,
    url: str,
    own: asyncpg.Connection,
    method: str,
    path: str,
    body: dict[str, str] | None,
    status: int,
    heard: bool,
) -> None:
    async with proxied(url) as (proxy, through), serve(through) as instance:
        ann = await signed_in(instance, own)
        await fill_pool(instance)
        proxy.announce_the_end()
        if heard:
            await own.execute("SELECT")  # what else had come to this loop has been read then

        answer = await instance.client.request(method, path, json=body, headers=ann.headers)

        assert answer.status_code == status, answer.text
        again = await instance.client.request(method, path, json=body, headers=ann.headers)
        assert again.status_code == (201 if method == "POST" else 200)
        assert checked_out(instance.context) == 0


@pytest.mark.parametrize("statements", [0, 1], ids=["at the commit", "at a statement"])
async def test_a_connection_that_is_about_to_end_in_a_transaction_goes_with_it(
    url: str, own: asyncpg.Connection, statements: int
) -> None:
    async def block(proxy: Proxy, context: Context) -> None:
        async with context.transaction() as work:
            await work.users.add(**ANN)
            proxy.announce_the_end()
            await own.execute("SELECT")
            for _ in range(statements):
                await work.users.get(1)

    async with proxied(url) as (proxy, through), open_context(make_settings(), through) as context:
        with pytest.raises(Unavailable):
            await block(proxy, context)
        assert checked_out(context) == 0

    assert await own.fetchval("SELECT count(*) FROM users") == 0


# A migration under way


DDL = [
    pytest.param("ALTER TABLE users ADD COLUMN extra text", id="a new column"),
    pytest.param("ALTER TABLE users ALTER COLUMN password_hash TYPE varchar(500)", id="a column's type"),
    pytest.param("ALTER TABLE users ALTER COLUMN username TYPE varchar(90)", id="a column's length"),
    pytest.param("ALTER TABLE token_blocklist ADD reason text", id="another table"),
]


@pytest.mark.parametrize("ddl", DDL)
async def test_reads_go_on_while_the_schema_changes(serve: Serve, url: str, own: asyncpg.Connection, ddl: str) -> None:
    async with serve(url, pool_size=5) as instance:
        ann = await signed_in(instance, own)
        paths = ("/api/auth/me", "/api/users/", f"/api/users/{ann.id}") * 5
        get = instance.client.get
        await asyncio.gather(*(get(path, headers=ann.headers) for path in paths))
        if "username" in ddl:  # the key is generated from it
            await own.execute("ALTER TABLE users DROP COLUMN username_key")
        await own.execute(ddl)

        answers = await asyncio.gather(*(get(path, headers=ann.headers) for path in paths))

        assert [answer.status_code for answer in answers] == [200] * 15


@pytest.mark.parametrize("tables", [("users", "posts"), ("posts", "users")], ids=" before ".join)
async def test_who_is_caught_between_two_tables_that_a_migration_locks_is_answered(
    serve: Serve, url: str, own: asyncpg.Connection, tables: tuple[str, str]
) -> None:
    """A list of posts has locked accounts and waits for posts: PostgreSQL ends such a deadlock after a second."""
    async with serve(url) as instance:
        ann = await signed_in(instance, own)
        post = {"title": "a title", "body": "a body"}
        path = (await instance.client.post("/api/posts/", json=post, headers=ann.headers)).headers["Location"]
        reads = [("GET", "/api/posts/", None), ("GET", path, None), ("GET", "/api/users/", None)]
        writes = [("POST", "/api/posts/", post), ("POST", f"{path}/comments", {"body": "a body"})]
        async with own.transaction():
            await own.execute(f"LOCK TABLE {tables[0]}")
            requests = [
                asyncio.create_task(instance.client.request(method, path, json=body, headers=ann.headers))
                for method, path, body in reads + writes
            ]
            await until_somebody_waits(own, 3)
            await own.execute(f"LOCK TABLE {tables[1]}")

        assert [(await request).status_code for request in requests] == [200, 200, 200, 201, 201]
        assert await own.fetchval("SELECT count(*) FROM posts") == 2


@pytest.mark.parametrize("ddl", DDL[:2])
async def test_a_write_after_the_schema_changed_is_no_bug_and_the_next_one_succeeds(
    serve: Serve, url: str, own: asyncpg.Connection, ddl: str
) -> None:
    async with serve(url, pool_size=1) as instance:
        ann = await signed_in(instance, own)
        principal = Principal(await user_of(instance, ann), uuid.uuid4(), uuid.uuid4())
        change = partial(users.change, instance.context, principal, ann.id)
        await change(changes={"username": "anna"})
        await own.execute(ddl)

        with suppress(Unavailable):
            await change(changes={"username": "annb"})
        assert (await change(changes={"username": "annc"})).username == "annc"


async def user_of(instance: Instance, account: Account) -> Any:
    return await instance.context.reading.users.get(account.id)


# Cancelled requests


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/users/", None),
        ("PATCH", "/api/users/1", {"username": "anna"}),
        ("POST", "/api/auth/login", {"email": "ann@example.com", "password": PASSWORD}),
        ("POST", "/api/users/", {"username": "bob", "email": "bob@example.com", "password": PASSWORD}),
    ],
)
async def test_cancelled_requests_give_clean_connections_back(
    serve: Serve, url: str, own: asyncpg.Connection, method: str, path: str, body: dict[str, str] | None
) -> None:
    async with serve(url, pool_size=3) as instance:
        ann = await signed_in(instance, own)
        for milliseconds in range(0, 24, 2):
            tasks = [
                asyncio.create_task(instance.direct.request(method, path, json=body, headers=ann.headers))
                for _ in range(4)
            ]
            await asyncio.sleep(milliseconds / 1000)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        await until_all_are_back(instance.context)  # what others might have shared is read to its end
        assert await own.fetchval(f"SELECT count(*) {BACKENDS} AND state LIKE 'idle in transaction%'") == 0
        assert (await instance.client.get("/api/auth/me", headers=ann.headers)).status_code == 200


async def test_a_request_that_is_cancelled_while_it_waits_for_a_lock_changes_nothing(
    serve: Serve, url: str, own: asyncpg.Connection
) -> None:
    async with serve(url) as instance:
        ann = await signed_in(instance, own)
        async with own.transaction():
            await own.execute("SELECT * FROM users FOR UPDATE")
            writing = asyncio.create_task(
                instance.direct.patch(f"/api/users/{ann.id}", json={"username": "anna"}, headers=ann.headers)
            )
            await until_active(own, "%FOR NO KEY UPDATE%")
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing

        assert checked_out(instance.context) == 0
        assert await own.fetchval(f"SELECT count(*) {BACKENDS} AND state LIKE 'idle in transaction%'") == 0
        assert await own.fetchval("SELECT username FROM users") == "ann"


async def slow_commits(own: asyncpg.Connection, table: str) -> None:
    """Let each COMMIT that wrote to the table take 0.3 s."""
    await own.execute(
        f"""
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON {table}
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
        """
    )


async def test_a_commit_under_way_is_not_cut_by_cancellation(serve: Serve, url: str, own: asyncpg.Connection) -> None:
    async with serve(url) as instance:
        ann = await signed_in(instance, own)
        await slow_commits(own, "users")
        writing = asyncio.create_task(
            instance.direct.patch(f"/api/users/{ann.id}", json={"username": "anna"}, headers=ann.headers)
        )
        await until_active(own, "COMMIT%")
        for _ in range(3):
            writing.cancel()
            await asyncio.sleep(0.02)
        with suppress(asyncio.CancelledError):
            await writing

        assert await own.fetchval("SELECT username FROM users") == "anna"
        assert checked_out(instance.context) == 0
        assert (await instance.client.get("/api/auth/me", headers=ann.headers)).status_code == 200


async def test_a_commit_under_way_is_not_cut_by_the_deadline(serve: Serve, url: str, own: asyncpg.Connection) -> None:
    async with serve(url, answer_seconds=0.15) as instance:
        ann = await signed_in(instance, own)
        await slow_commits(own, "users")
        answer = await instance.client.patch(f"/api/users/{ann.id}", json={"username": "anna"}, headers=ann.headers)

        assert answer.status_code in (200, 503)
        assert await own.fetchval("SELECT username FROM users") == "anna"
        assert checked_out(instance.context) == 0


async def test_a_deadline_that_passes_during_a_statement_is_a_503(
    serve: Serve, url: str, own: asyncpg.Connection
) -> None:
    async with serve(url, answer_seconds=0.15) as instance:
        ann = await signed_in(instance, own)
        async with own.transaction():
            await own.execute("SELECT * FROM users FOR UPDATE")
            answer: httpx.Response = await instance.client.patch(
                f"/api/users/{ann.id}", json={"username": "anna"}, headers=ann.headers
            )

        assert_problem(answer, 503, "UNAVAILABLE")
        assert checked_out(instance.context) == 0
        assert await own.fetchval(f"SELECT count(*) {BACKENDS} AND state LIKE 'idle in transaction%'") == 0


async def test_a_post_that_is_being_added_is_added_though_its_request_is_cancelled(
    url: str, own: asyncpg.Connection
) -> None:
    ann = await own.fetchval(
        "INSERT INTO users (username, email, password_hash) VALUES ('ann', 'ann@example.com', 'x') RETURNING id"
    )
    async with open_context(make_settings(), url) as context:
        async with own.transaction():
            await own.execute("SELECT FROM users FOR UPDATE")
            adding = asyncio.create_task(
                context.adding.posts.add(uuid.uuid4(), author_id=ann, title="a title", body="a body")
            )
            await asyncio.sleep(0.2)
            adding.cancel()
            await asyncio.sleep(0.1)
            assert not adding.done()

        with pytest.raises(asyncio.CancelledError):
            await adding
    assert await own.fetchval("SELECT count(*) FROM posts") == 1
