from __future__ import annotations

import asyncpg
import httpx
from tests.support.accounts import PASSWORD, Accounts
from tests.support.problems import assert_problem


async def usernames(database: asyncpg.Connection) -> list[str]:
    return [row["username"] for row in await database.fetch("SELECT username FROM users ORDER BY id")]


async def test_one_deletes_oneself_with_all_sessions(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann, _ = await accounts.signed_in("ann"), await accounts.signed_in("bob")

    answer = await client.delete(f"/api/users/{ann.id}", headers=ann.headers)

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert await usernames(database) == ["bob"]
    assert await database.fetchval("SELECT count(*) FROM sessions") == 1


async def test_the_tokens_of_the_deleted_are_invalid(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    await client.delete(f"/api/users/{ann.id}", headers=ann.headers)

    assert_problem(await client.get("/api/auth/me", headers=ann.headers), 401, "INVALID_TOKEN")
    assert_problem(await client.post("/api/auth/refresh", headers=ann.refresh_headers), 401, "INVALID_TOKEN")


async def test_the_deleted_do_not_log_in(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    await client.delete(f"/api/users/{ann.id}", headers=ann.headers)

    answer = await client.post("/api/auth/login", json={"email": ann.email, "password": PASSWORD})

    assert_problem(answer, 401, "INVALID_CREDENTIALS")


async def test_the_name_of_the_deleted_is_free(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    await client.delete(f"/api/users/{ann.id}", headers=ann.headers)

    answer = await client.post(
        "/api/users/", json={"username": "ann", "email": "ann@example.com", "password": "8 signs."}
    )

    assert answer.status_code == 201
    assert answer.json()["id"] != ann.id


async def test_an_admin_deletes_another(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann, root = await accounts.signed_in("ann"), await accounts.signed_in("root", role="admin")

    answer = await client.delete(f"/api/users/{ann.id}", headers=root.headers)

    assert answer.status_code == 204
    assert await usernames(database) == ["root"]


async def test_an_admin_deletes_another_admin(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    eve, root = await accounts.add("eve", role="admin"), await accounts.signed_in("root", role="admin")

    assert (await client.delete(f"/api/users/{eve.id}", headers=root.headers)).status_code == 204
    assert await usernames(database) == ["root"]


async def test_somebody_else_is_not_ones_to_delete(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann, bob = await accounts.add("ann"), await accounts.signed_in("bob")

    answer = await client.delete(f"/api/users/{ann.id}", headers=bob.headers)

    assert_problem(answer, 403, "FORBIDDEN", "Cannot delete another user")
    assert await usernames(database) == ["ann", "bob"]


async def test_nobody_is_not_found(client: httpx.AsyncClient, accounts: Accounts) -> None:
    root = await accounts.signed_in("root", role="admin")

    assert_problem(await client.delete("/api/users/999", headers=root.headers), 404, "NOT_FOUND")


async def test_who_is_deleted_already_is_not_found(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann, root = await accounts.add("ann"), await accounts.signed_in("root", role="admin")
    await client.delete(f"/api/users/{ann.id}", headers=root.headers)

    assert_problem(await client.delete(f"/api/users/{ann.id}", headers=root.headers), 404, "NOT_FOUND")


async def test_the_last_active_admin_stays(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    root = await accounts.signed_in("root", role="admin")
    await accounts.add("sleeper", role="admin", is_active=False)

    answer = await client.delete(f"/api/users/{root.id}", headers=root.headers)

    assert_problem(answer, 409, "LAST_ADMIN")
    assert await usernames(database) == ["root", "sleeper"]


async def test_an_admin_deletes_themself_when_another_remains(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    root, _ = await accounts.signed_in("root", role="admin"), await accounts.add("eve", role="admin")

    assert (await client.delete(f"/api/users/{root.id}", headers=root.headers)).status_code == 204
    assert await usernames(database) == ["eve"]


async def test_an_unknown_query_parameter_is_refused_and_deletes_nothing(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.delete(f"/api/users/{ann.id}?cascade=1", headers=ann.headers)

    assert_problem(answer, 400, "VALIDATION_ERROR")
    assert await usernames(database) == ["ann"]
