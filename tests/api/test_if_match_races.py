"""Writers who know the same state and write at once: one of them does (RFC 9110 §13.1.1, the lost update)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.instances import Serve
from tests.support.things import KINDS, Thing, Things
from tests.support.waiting import until_somebody_waits

each = pytest.mark.parametrize("kind", KINDS)
ROUNDS = 4


@pytest.fixture
async def clients(client: httpx.AsyncClient, serve: Serve) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two processes."""
    async with serve() as other:
        yield [client, other.client]


@pytest.fixture
async def root(accounts: Accounts) -> Account:
    return await accounts.signed_in("root", role="admin")


async def write_at_once(
    clients: list[httpx.AsyncClient], thing: Thing, root: Account, methods: list[str]
) -> list[httpx.Response]:
    """Let as many admins as there are methods write, each knowing what is there now."""
    known = (await clients[0].get(thing.path, headers=root.headers)).headers["etag"]
    headers = {**root.headers, "If-Match": known}

    async def write(number: int, method: str) -> httpx.Response:
        body = None if method == "DELETE" else thing.changes(f"text{thing.id}x{number}")
        return await clients[number % 2].request(method, thing.path, headers=headers, json=body)

    return await asyncio.gather(*(write(number, method) for number, method in enumerate(methods)))


@each
@pytest.mark.parametrize("writers", [2, 10], ids=["two writers", "ten writers"])
async def test_of_those_who_change_the_same_state_at_once_one_does(
    clients: list[httpx.AsyncClient], things: Things, accounts: Accounts, root: Account, kind: str, writers: int
) -> None:
    thing = await things.add(kind, await accounts.signed_in("ann"))
    for _ in range(ROUNDS):
        answers = await write_at_once(clients, thing, root, ["PUT", "PATCH"] * (writers // 2))

        assert Counter(answer.status_code for answer in answers) == {200: 1, 412: writers - 1}
        (done,) = [answer for answer in answers if answer.status_code == 200]
        got = await clients[1].get(thing.path, headers=root.headers)
        assert (got.content, got.headers["etag"]) == (done.content, done.headers["etag"])


@each
@pytest.mark.parametrize("pairs", [1, 5], ids=["two writers", "ten writers"])
async def test_of_changes_and_deletions_of_the_same_state_at_once_one_is_done(
    clients: list[httpx.AsyncClient], things: Things, accounts: Accounts, root: Account, kind: str, pairs: int
) -> None:
    for round_ in range(ROUNDS):
        thing = await things.add(kind, await accounts.signed_in(f"ann{round_}"))

        answers = await write_at_once(clients, thing, root, ["DELETE", "PUT"] * pairs)

        found = Counter(answer.status_code for answer in answers)
        assert found in ({204: 1, 404: 2 * pairs - 1}, {200: 1, 412: 2 * pairs - 1})
        assert (await things.row(thing) is None) == (204 in found)


@each
async def test_who_waits_for_another_write_is_asked_for_the_state_behind_it(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, database: asyncpg.Connection, kind: str
) -> None:
    thing = await things.add(kind, await accounts.signed_in("ann"))
    known = (await client.get(thing.path, headers=thing.owner.headers)).headers["etag"]
    table = {"user": "users", "post": "posts", "comment": "comments"}[kind]
    async with database.transaction():
        await database.execute(f"UPDATE {table} SET updated_at = now() WHERE id = $1", thing.id)
        headers = {**thing.owner.headers, "If-Match": known}
        pending = asyncio.create_task(client.patch(thing.path, json=thing.changes(), headers=headers))
        await until_somebody_waits(database)

    assert (await pending).status_code == 412
