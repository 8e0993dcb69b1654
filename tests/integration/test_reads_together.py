"""What many requests read at once: each gets its own, in few statements, and none suffers from another's fault."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import httpx
import pytest
from service.context import Context, open_context
from service.errors import Unavailable
from service.paging import Part
from service.repositories.refusals import StatementFailed
from sqlalchemy import text
from tests.conftest import make_settings
from tests.support.accounts import Account, Accounts
from tests.support.instances import Serve
from tests.support.statements import statements_of
from tests.support.writings import Writings

MANY = 40
BACKENDS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'postern'"


@pytest.fixture
async def crowd(accounts: Accounts) -> list[Account]:
    return [await accounts.signed_in(f"user{number}") for number in range(MANY)]


async def ask(client: httpx.AsyncClient, crowd: list[Account], path: str = "/api/auth/me") -> list[httpx.Response]:
    return list(await asyncio.gather(*(client.get(path, headers=account.headers) for account in crowd)))


async def test_each_caller_gets_their_own_account_though_all_are_read_together(
    client: httpx.AsyncClient, crowd: list[Account]
) -> None:
    answers = await ask(client, crowd)

    assert [answer.json()["id"] for answer in answers] == [account.id for account in crowd]


async def test_those_who_ask_in_one_round_of_the_loop_share_a_statement(context: Context, crowd: list[Account]) -> None:
    users = context.reading.users
    with statements_of(context) as seen:
        found = await asyncio.gather(*(users.get(account.id) for account in crowd))
        listed = await asyncio.gather(*(users.part(Part("-created_at")) for _ in crowd))

    assert [user and user.id for user in found] == [account.id for account in crowd]
    assert {len(listing.items) for listing in listed} == {20}
    assert len(seen) == 3  # the accounts, the list and its count


async def test_of_those_who_are_looked_up_together_only_the_revoked_are_refused(
    client: httpx.AsyncClient, database: asyncpg.Connection, crowd: list[Account]
) -> None:
    gone, disabled, out = crowd[3], crowd[17], crowd[30]
    await database.execute("DELETE FROM users WHERE id = $1", gone.id)
    await database.execute("UPDATE users SET is_active = false WHERE id = $1", disabled.id)
    assert (await client.delete("/api/auth/logout", headers=out.headers)).status_code == 200

    for _ in range(5):
        answers = await ask(client, crowd)

        refused = {account.id: answer.json().get("code") for account, answer in zip(crowd, answers, strict=True)}
        assert {key: code for key, code in refused.items() if code} == {
            gone.id: "INVALID_TOKEN",
            disabled.id: "INVALID_TOKEN",
            out.id: "TOKEN_REVOKED",
        }


async def test_posts_that_are_read_together_are_the_ones_that_were_asked_for(
    client: httpx.AsyncClient, writings: Writings, crowd: list[Account]
) -> None:
    posts = [await writings.post(account, title=f"of {account.id}") for account in crowd]
    ids = [str(post) for post in posts] + [str(uuid.uuid4())]

    answers = await asyncio.gather(*(client.get(f"/api/posts/{post}") for post in ids))

    assert [answer.status_code for answer in answers] == [200] * MANY + [404]
    assert [answer.json()["title"] for answer in answers[:-1]] == [f"of {account.id}" for account in crowd]


async def test_a_list_that_many_ask_for_at_once_shows_each_caller_their_own(
    client: httpx.AsyncClient, crowd: list[Account]
) -> None:
    answers = await ask(client, crowd, "/api/users/?per_page=100")

    for account, answer in zip(crowd, answers, strict=True):
        private = [user["id"] for user in answer.json()["users"] if "email" in user]
        assert private == [account.id]
        assert answer.json()["total"] == MANY


async def test_a_list_holds_what_was_there_when_it_was_asked_for(
    client: httpx.AsyncClient, database: asyncpg.Connection, writings: Writings, crowd: list[Account]
) -> None:
    async def write_and_list(account: Account) -> None:
        headers = account.headers
        written = await client.post("/api/posts/", json={"title": "mine", "body": "words"}, headers=headers)
        listed = await client.get("/api/posts/?per_page=100")
        assert written.json()["id"] in [post["id"] for post in listed.json()["posts"]]

    await asyncio.gather(*map(write_and_list, crowd))


async def test_a_key_that_the_driver_refuses_fails_alone(
    context: Context, database: asyncpg.Connection, crowd: list[Account]
) -> None:
    get = context.reading.users.get

    found = await asyncio.gather(
        *(get(account.id) for account in crowd[:10]), get(2**63), get(2**62), return_exceptions=True
    )

    assert [user.id for user in found[:10] if user is not None and not isinstance(user, BaseException)] == [
        account.id for account in crowd[:10]
    ]
    assert isinstance(found[10], StatementFailed)
    assert found[11] is None


async def test_a_value_that_the_driver_refuses_leaves_nothing_open(url: str, own: asyncpg.Connection) -> None:
    async with open_context(make_settings(), url) as context:
        with pytest.raises(StatementFailed):
            await context.alone.rows(text("SELECT FROM users WHERE id = :id"), {"id": 2**63})

        assert await own.fetchval(f"SELECT count(*) {BACKENDS} AND state <> 'idle'") == 0


@pytest.mark.parametrize("together", [1, 20], ids=["alone", "together"])
async def test_a_plan_that_was_made_while_a_table_was_small_reads_none_as_a_whole(
    client: httpx.AsyncClient, database: asyncpg.Connection, crowd: list[Account], together: int
) -> None:
    """PostgreSQL keeps plans, and hears of the rows that have come since when autovacuum does."""
    await database.execute("ANALYZE")
    for _ in range(8):
        await ask(client, crowd[:together])
    await database.execute(
        "INSERT INTO users (username, email, password_hash)"
        " SELECT 'more' || n, 'more' || n || '@example.com', 'x' FROM generate_series(1, 3000) n"
    )
    await database.execute(
        "INSERT INTO token_blocklist (id, expires_at)"
        " SELECT gen_random_uuid(), now() + interval '1 day' FROM generate_series(1, 3000) n"
    )
    tables = "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ('users', 'token_blocklist')"
    before = await database.fetchval(tables)
    looked_up = "SELECT sum(idx_scan) FROM pg_stat_user_tables WHERE relname = 'users'"
    told = await database.fetchval(looked_up)
    async with asyncio.timeout(10):
        while await database.fetchval(looked_up) < told + 20:  # backends tell once a second, at the end of a statement
            await ask(client, crowd[:together])
    assert await database.fetchval(tables) == before


async def test_look_ups_that_hang_are_503_in_time_and_do_not_keep_posts_from_being_read(
    serve: Serve, url: str, own: asyncpg.Connection
) -> None:
    async with serve(url, pool_size=5, statement_seconds=0.5) as instance:
        accounts = Accounts(instance.client, own)
        crowd = [await accounts.signed_in(f"user{number}") for number in range(10)]
        post = await Writings(own).post(crowd[0])
        async with own.transaction():
            await own.execute("LOCK TABLE token_blocklist IN ACCESS EXCLUSIVE MODE")
            asked = asyncio.create_task(ask(instance.client, crowd))
            await asyncio.sleep(0)
            for _ in range(10):
                assert (await instance.client.get(f"/api/posts/{post}")).status_code == 200
            answers = await asked
        assert {answer.status_code for answer in answers} == {503}

        assert {answer.status_code for answer in await ask(instance.client, crowd)} == {200}


async def test_look_ups_that_keep_coming_while_they_hang_leave_connections_to_posts(
    serve: Serve, url: str, own: asyncpg.Connection
) -> None:
    async with serve(url, pool_size=4, pool_wait_seconds=0.5, statement_seconds=1) as instance:
        accounts = Accounts(instance.client, own)
        ann = await accounts.signed_in("ann")
        post = await Writings(own).post(ann)
        async with own.transaction():
            await own.execute("LOCK TABLE token_blocklist IN ACCESS EXCLUSIVE MODE")
            asked = []
            for _ in range(25):
                asked.append(asyncio.create_task(instance.client.get("/api/auth/me", headers=ann.headers)))
                async with asyncio.timeout(0.5):
                    assert (await instance.client.get(f"/api/posts/{post}")).status_code == 200
                await asyncio.sleep(0.1)
            assert {answer.status_code for answer in await asyncio.gather(*asked)} == {503}

        assert (await instance.client.get("/api/auth/me", headers=ann.headers)).status_code == 200


async def test_without_a_database_all_who_wait_are_told_so() -> None:
    async with open_context(make_settings(), "postgresql://nobody@127.0.0.1:1/nothing") as context:
        found = await asyncio.gather(*(context.reading.users.get(key) for key in range(20)), return_exceptions=True)

    assert all(isinstance(error, Unavailable) for error in found)


async def test_while_the_database_takes_no_connections_all_are_503_and_then_none(
    serve: Serve, url: str, own: asyncpg.Connection, database: asyncpg.Connection
) -> None:
    name = await own.fetchval("SELECT current_database()")
    async with serve(url) as instance:
        crowd = [await Accounts(instance.client, own).signed_in()] * 20
        await database.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await own.execute(f"SELECT pg_terminate_backend(pid) {BACKENDS}")

        assert {answer.status_code for answer in await ask(instance.client, crowd)} == {503}

        await database.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

        assert {answer.status_code for answer in await ask(instance.client, crowd)} == {200}
