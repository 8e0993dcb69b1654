"""What a crash between an effect and its answer would leave: both the row and the kept answer, or neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.support.accounts import Accounts
from tests.support.instances import Instance, Serve
from tests.support.problems import assert_problem
from tests.support.proxies import proxied
from tests.support.repeats import assert_same, is_replayed, send
from tests.support.things import KINDS, Making, Things
from tests.support.waiting import until_somebody_waits

each = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
async def instance(serve: Serve, url: str) -> AsyncIterator[Instance]:
    async with serve(url) as instance:
        yield instance


@pytest.fixture
def things_there(instance: Instance, own: asyncpg.Connection) -> Things:
    return Things(instance.client, Accounts(instance.client, own), own)


@pytest.fixture
async def making(instance: Instance, own: asyncpg.Connection, things_there: Things, kind: str) -> Making:
    return await things_there.making(kind, await Accounts(instance.client, own).signed_in("ann"))


async def kept(own: asyncpg.Connection) -> int:
    count: int = await own.fetchval("SELECT count(*) FROM idempotency_keys")
    return count


@pytest.mark.parametrize(
    ("kind", "sqlstate"),
    [("user", "40001"), ("post", "40001"), ("comment", "40001"), ("post", "57P01"), ("post", "P0001")],
    ids=["user", "post", "comment", "shut down", "bug"],
)
async def test_a_commit_that_fails_leaves_neither_row_nor_answer(
    instance: Instance, own: asyncpg.Connection, things_there: Things, making: Making, kind: str, sqlstate: str
) -> None:
    before = await things_there.count(kind)
    await own.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{sqlstate}'; END $$;"
        "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON idempotency_keys"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()"
    )

    answer = await send(instance.client, making)

    assert answer.status_code == (500 if sqlstate == "P0001" else 503)
    assert (await things_there.count(kind), await kept(own)) == (before, 0)
    await own.execute("DROP TRIGGER fail ON idempotency_keys")
    assert_same(await send(instance.client, making), await send(instance.client, making))


@each
async def test_a_connection_that_dies_between_the_effect_and_the_answer_leaves_neither(
    instance: Instance, own: asyncpg.Connection, things_there: Things, making: Making, kind: str
) -> None:
    before = await things_there.count(kind)
    async with own.transaction():
        await own.execute("LOCK TABLE idempotency_keys IN SHARE MODE")
        pending = asyncio.create_task(send(instance.client, making))
        await own.execute("SELECT pg_terminate_backend($1)", (await until_somebody_waits(own))[0])
        assert_problem(await pending, 503, "UNAVAILABLE")

    assert (await things_there.count(kind), await kept(own)) == (before, 0)
    assert_same(await send(instance.client, making), await send(instance.client, making))


@each
async def test_a_client_that_leaves_meanwhile_finds_both_or_neither(
    instance: Instance, own: asyncpg.Connection, things_there: Things, making: Making, kind: str
) -> None:
    before = await things_there.count(kind)
    async with own.transaction():
        await own.execute("LOCK TABLE idempotency_keys IN SHARE MODE")
        pending = asyncio.create_task(send(instance.client, making))
        await until_somebody_waits(own)
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)

    async with asyncio.timeout(5):
        while (again := await send(instance.client, making)).status_code == 409:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)
    assert again.status_code == 201
    assert (await things_there.count(kind), await kept(own)) == (before + 1, 1)


@each
async def test_a_commit_whose_answer_is_lost_is_told_by_the_repeat(
    serve: Serve, url: str, own: asyncpg.Connection, things_there: Things, making: Making, kind: str
) -> None:
    before = await things_there.count(kind)
    async with proxied(url) as (proxy, through), serve(through) as instance:
        proxy.losing = True
        lost = await send(instance.client, making)
        proxy.losing = False
        again = await send(instance.client, making)

    assert_problem(lost, 503, "UNAVAILABLE")
    assert proxy.lost == 1
    assert (again.status_code, is_replayed(again)) == (201, True)
    assert (await things_there.count(kind), await kept(own)) == (before + 1, 1)
