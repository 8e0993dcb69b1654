"""Many accounts at once: enabled, disabled, deleted (contract: Users)."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from service.services.users import BATCH
from tests.support.accounts import PASSWORD, Account, Accounts
from tests.support.problems import assert_problem
from tests.support.waiting import until_somebody_waits

MANY = 2 * BATCH + 50
PATH = "/api/users/"
ALL_ACTIVE, ALL_INACTIVE = {"is_active": "true"}, {"is_active": "false"}


@pytest.fixture
async def root(accounts: Accounts) -> Account:
    return await accounts.signed_in("root", role="admin")


async def disable(client: httpx.AsyncClient, by: Account) -> httpx.Response:
    return await client.patch(PATH, params=ALL_ACTIVE, json={"is_active": False}, headers=by.headers)


async def enable(client: httpx.AsyncClient, by: Account) -> httpx.Response:
    return await client.patch(PATH, params=ALL_INACTIVE, json={"is_active": True}, headers=by.headers)


async def add_many(database: asyncpg.Connection, count: int, *, is_active: bool = True) -> None:
    await database.execute(
        "INSERT INTO users (username, email, password_hash, is_active)"
        " SELECT 'many' || n, 'many' || n || '@example.com', 'none', $2 FROM generate_series(1, $1) n",
        count,
        is_active,
    )


async def active(database: asyncpg.Connection) -> list[str]:
    return [row["username"] for row in await database.fetch("SELECT username FROM users WHERE is_active ORDER BY id")]


REQUESTS: dict[str, tuple[str, dict[str, str], Any]] = {
    "disable": ("PATCH", ALL_ACTIVE, {"is_active": False}),
    "enable": ("PATCH", ALL_INACTIVE, {"is_active": True}),
    "leave active": ("PATCH", ALL_ACTIVE, {"is_active": True}),
    "leave inactive": ("PATCH", ALL_INACTIVE, {"is_active": False}),
    "delete active": ("DELETE", ALL_ACTIVE, None),
    "delete inactive": ("DELETE", ALL_INACTIVE, None),
}
each = pytest.mark.parametrize(("method", "params", "body"), REQUESTS.values(), ids=REQUESTS.keys())


@each
async def test_only_admins_change_many(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    method: str,
    params: dict[str, str],
    body: Any,
) -> None:
    ann = await accounts.signed_in("ann")
    await accounts.add("bob")
    await accounts.add("sleeper", is_active=False)
    before = await database.fetch("SELECT * FROM users ORDER BY id")

    answer = await client.request(method, PATH, params=params, json=body, headers=ann.headers)

    assert_problem(answer, 403, "ADMIN_REQUIRED")
    assert await database.fetch("SELECT * FROM users ORDER BY id") == before


@each
async def test_nobody_changes_many_without_a_token(
    client: httpx.AsyncClient, database: asyncpg.Connection, method: str, params: dict[str, str], body: Any
) -> None:
    assert_problem(await client.request(method, PATH, params=params, json=body), 401, "TOKEN_MISSING")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    "query",
    [
        "",
        "is_active=",
        "is_active=1",
        "is_active=yes",
        "active=true",
        "is_active=true&role=user",
        "is_active=true&is_active=false",
        "is_active=%00",
    ],
)
async def test_a_filter_that_is_not_clear_changes_nobody(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, root: Account, method: str, query: str
) -> None:
    await accounts.add("ann")
    body = {"is_active": False} if method == "PATCH" else None

    answer = await client.request(method, f"{PATH}?{query}", json=body, headers=root.headers)

    assert answer.status_code == 400
    assert await active(database) == ["root", "ann"]


@pytest.mark.parametrize(
    "body",
    [{}, {"is_active": None}, {"is_active": "false"}, {"is_active": 0}, {"is_active": False, "role": "user"}],
    ids=str,
)
async def test_a_change_that_is_not_clear_changes_nobody(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, root: Account, body: dict[str, Any]
) -> None:
    await accounts.add("ann")

    answer = await client.patch(PATH, params=ALL_ACTIVE, json=body, headers=root.headers)

    assert_problem(answer, 400, "VALIDATION_ERROR")
    assert await active(database) == ["root", "ann"]


@pytest.mark.parametrize("path", ["/api/users", "/api/users/"])
async def test_all_but_the_caller_are_disabled_and_counted(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, root: Account, path: str
) -> None:
    await accounts.add("eve", role="admin")
    await accounts.add("ann")
    await accounts.add("sleeper", is_active=False)

    answer = await client.patch(path, params=ALL_ACTIVE, json={"is_active": False}, headers=root.headers)

    assert (answer.status_code, answer.json()) == (200, {"updated": 2})
    assert await active(database) == ["root"]


async def test_all_who_are_disabled_are_enabled_and_counted(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, root: Account
) -> None:
    await accounts.add("ann")
    await accounts.add("sleeper", is_active=False)

    answer = await enable(client, root)

    assert (answer.status_code, answer.json()) == (200, {"updated": 1})
    assert await active(database) == ["root", "ann", "sleeper"]


@pytest.mark.parametrize(
    ("params", "deleted", "left"),
    [(ALL_ACTIVE, 2, ["root", "sleeper"]), (ALL_INACTIVE, 1, ["root", "eve", "ann"])],
    ids=["active", "inactive"],
)
async def test_all_of_a_kind_but_the_caller_are_deleted_and_counted(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    root: Account,
    params: dict[str, str],
    deleted: int,
    left: list[str],
) -> None:
    await accounts.add("eve", role="admin")
    await accounts.signed_in("ann")
    await accounts.add("sleeper", is_active=False)

    answer = await client.delete(PATH, params=params, headers=root.headers)

    assert (answer.status_code, answer.json()) == (200, {"deleted": deleted})
    assert [row["username"] for row in await database.fetch("SELECT username FROM users ORDER BY id")] == left


@pytest.mark.parametrize("to", [True, False], ids=["enabled", "disabled"])
async def test_who_is_so_already_is_not_touched(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, root: Account, to: bool
) -> None:
    await accounts.add("ann")
    await accounts.add("sleeper", is_active=False)
    before = await database.fetch("SELECT * FROM users ORDER BY id")

    answer = await client.patch(PATH, params={"is_active": str(to)}, json={"is_active": to}, headers=root.headers)

    assert (answer.status_code, answer.json()) == (200, {"updated": 0})
    assert await database.fetch("SELECT * FROM users ORDER BY id") == before


async def test_more_than_a_batch_are_disabled_enabled_and_deleted(
    client: httpx.AsyncClient, database: asyncpg.Connection, root: Account
) -> None:
    await add_many(database, MANY)

    assert (await disable(client, root)).json() == {"updated": MANY}
    assert await active(database) == ["root"]
    assert (await enable(client, root)).json() == {"updated": MANY}
    assert len(await active(database)) == MANY + 1
    answer = await client.delete(PATH, params=ALL_ACTIVE, headers=root.headers)
    assert answer.json() == {"deleted": MANY}
    assert await database.fetchval("SELECT count(*) FROM users") == 1


async def test_the_sessions_of_the_disabled_end_and_stay_ended(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, root: Account
) -> None:
    ann = await accounts.signed_in("ann")

    await disable(client, root)
    assert_problem(await client.get("/api/auth/me", headers=ann.headers), 401, "INVALID_TOKEN")
    assert_problem(await client.post("/api/auth/refresh", headers=ann.refresh_headers), 401, "INVALID_TOKEN")

    await enable(client, root)
    assert_problem(await client.get("/api/auth/me", headers=ann.headers), 401, "TOKEN_REVOKED")
    assert_problem(await client.post("/api/auth/refresh", headers=ann.refresh_headers), 401, "TOKEN_REVOKED")
    assert (await client.get("/api/auth/me", headers=(await accounts.log_in(ann)).headers)).status_code == 200
    assert (await client.get("/api/auth/me", headers=root.headers)).status_code == 200


async def test_who_is_disabled_does_not_log_in(client: httpx.AsyncClient, accounts: Accounts, root: Account) -> None:
    ann = await accounts.add("ann")
    await disable(client, root)

    answer = await client.post("/api/auth/login", json={"email": ann.email, "password": PASSWORD})

    assert_problem(answer, 403, "ACCOUNT_DISABLED")


@pytest.mark.parametrize("how", [{"role": "user"}, {"is_active": False}], ids=["demoted", "disabled"])
async def test_an_admin_who_is_one_no_more_stops(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, root: Account, how: dict[str, Any]
) -> None:
    eve = await accounts.signed_in("eve", role="admin")
    await add_many(database, MANY, is_active=False)
    await database.execute("UPDATE users SET email = email WHERE username <> $1", f"many{MANY}")  # now lies behind it
    async with database.transaction():
        await database.execute("SELECT FROM users WHERE username = $1 FOR UPDATE", f"many{MANY}")
        pending = asyncio.create_task(enable(client, eve))
        await until_somebody_waits(database)  # for that row, in the last batch
        stopped = await client.patch(f"/api/users/{eve.id}", json=how, headers=root.headers)
        assert stopped.status_code == 200

    answer = await pending
    assert_problem(answer, *((403, "ADMIN_REQUIRED") if "role" in how else (401, "INVALID_TOKEN")))
    assert await database.fetchval("SELECT count(*) FROM users WHERE NOT is_active AND id <> $1", eve.id) == 50
