"""Many accounts at once, by many admins at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.instances import Serve

PATH = "/api/users/"
ACTIVE_ADMINS = "SELECT count(*) FROM users WHERE role = 'admin' AND is_active AND NOT is_removed"


@pytest.fixture
async def clients(client: httpx.AsyncClient, serve: Serve) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two processes."""
    async with serve() as other:
        yield [client, other.client]


async def disable(client: httpx.AsyncClient, by: Account) -> httpx.Response:
    return await client.patch(PATH, params={"is_active": "true"}, json={"is_active": False}, headers=by.headers)


async def delete(client: httpx.AsyncClient, by: Account) -> httpx.Response:
    return await client.delete(PATH, params={"is_active": "true"}, headers=by.headers)


async def add_many(database: asyncpg.Connection, count: int, prefix: str) -> None:
    await database.execute(
        "INSERT INTO users (username, email, password_hash)"
        " SELECT $2 || n, $2 || n || '@example.com', 'none' FROM generate_series(1, $1) n",
        count,
        prefix,
    )


@pytest.mark.parametrize("acts", [(disable, disable), (delete, delete), (disable, delete)], ids=["d-d", "x-x", "d-x"])
async def test_of_two_admins_who_end_everybody_at_once_one_stays(
    clients: list[httpx.AsyncClient],
    accounts: Accounts,
    database: asyncpg.Connection,
    emptying: str,
    acts: tuple[object, object],
) -> None:
    first, second = acts
    for round_ in range(7):
        await database.execute(emptying)
        eve = await accounts.signed_in(f"eve{round_}", role="admin")
        await add_many(database, 120, f"between{round_}x")
        root = await accounts.signed_in(f"root{round_}", role="admin")

        answers = await asyncio.gather(first(clients[0], eve), second(clients[1], root))  # type: ignore[operator]  # two functions

        assert await database.fetchval(ACTIVE_ADMINS) == 1
        assert await database.fetchval("SELECT count(*) FROM users WHERE is_active") == 1
        assert sorted(answer.status_code for answer in answers) == [200, 401], [answer.text for answer in answers]


async def test_admins_who_end_each_other_one_by_one_and_all_at_once_leave_one(
    clients: list[httpx.AsyncClient], accounts: Accounts, database: asyncpg.Connection, emptying: str
) -> None:
    for round_ in range(8):
        await database.execute(emptying)
        eve = await accounts.signed_in(f"eve{round_}", role="admin")
        root = await accounts.signed_in(f"root{round_}", role="admin")
        single = clients[1].request(
            *[("DELETE", f"/api/users/{eve.id}"), ("PATCH", f"/api/users/{eve.id}")][round_ % 2],
            json=[None, {"role": "user"}][round_ % 2],
            headers=root.headers,
        )

        answers = await asyncio.gather([disable, delete][round_ // 2 % 2](clients[0], eve), single)

        assert await database.fetchval(ACTIVE_ADMINS) == 1
        assert not [answer for answer in answers if answer.status_code >= 500]


async def test_changes_of_single_accounts_go_on_beside_bulk_work(
    clients: list[httpx.AsyncClient], accounts: Accounts, database: asyncpg.Connection
) -> None:
    root, eve = await accounts.signed_in("root", role="admin"), await accounts.signed_in("eve", role="admin")
    await add_many(database, 250, "many")
    ids = [row["id"] for row in await database.fetch("SELECT id FROM users WHERE role = 'user' ORDER BY id DESC")]

    bulk, *singles = await asyncio.gather(
        clients[0].patch(PATH, params={"is_active": "false"}, json={"is_active": True}, headers=root.headers),
        *(
            clients[number % 2].patch(
                f"/api/users/{user_id}", json={"is_active": bool(number % 3)}, headers=eve.headers
            )
            for number, user_id in enumerate(ids[::10])
        ),
        *(clients[1].delete(f"/api/users/{user_id}", headers=eve.headers) for user_id in ids[5::25]),
        disable(clients[1], root),
    )

    assert bulk.status_code == 200
    assert not [answer.text for answer in singles if answer.status_code >= 500]


async def test_registrations_and_logins_go_on_beside_bulk_work(
    clients: list[httpx.AsyncClient], accounts: Accounts, database: asyncpg.Connection
) -> None:
    root = await accounts.signed_in("root", role="admin")
    members = [await accounts.add(f"member{number}") for number in range(5)]
    await add_many(database, 250, "many")

    _, *others = await asyncio.gather(
        disable(clients[0], root),
        *(
            clients[1].post("/api/auth/login", json={"email": member.email, "password": "correct horse battery"})
            for member in members
        ),
    )

    assert {answer.status_code for answer in others} <= {200, 403}
    alive = "SELECT count(*) FROM sessions JOIN users ON users.id = user_id WHERE ended_at IS NULL AND NOT is_active"
    assert await database.fetchval(alive) == 0
