from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import PASSWORD, Accounts
from tests.support.problems import assert_problem, said

alike = pytest.mark.parametrize("method", ["PUT", "PATCH"])


async def row(database: asyncpg.Connection, user_id: int) -> dict[str, Any]:
    return dict(await database.fetchrow("SELECT * FROM users WHERE id = $1", user_id))


@alike
@pytest.mark.parametrize(
    "changes",
    [{"username": "anna"}, {"email": "anna@example.com"}, {"username": "anna", "email": "anna@example.com"}],
    ids=["username", "email", "both"],
)
async def test_one_changes_ones_own_name_and_email(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    method: str,
    changes: dict[str, str],
) -> None:
    ann = await accounts.signed_in("ann")
    before = await row(database, ann.id)

    answer = await client.request(method, f"/api/users/{ann.id}", json=changes, headers=ann.headers)

    after = await row(database, ann.id)
    assert answer.status_code == 200
    assert answer.json().keys() == {"id", "username", "email", "role", "is_active", "created_at", "updated_at"}
    assert {name: answer.json()[name] for name in changes} == changes
    assert {name for name in after if after[name] != before[name]} == {
        "updated_at",
        *changes,
        *(f"{name}_key" for name in changes),
    }
    assert after["updated_at"] > before["updated_at"]


@alike
async def test_the_answer_is_what_is_stored(client: httpx.AsyncClient, accounts: Accounts, method: str) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.request(
        method, f"/api/users/{ann.id}", json={"email": " Anna@example.com "}, headers=ann.headers
    )

    assert answer.json() == (await client.get(f"/api/users/{ann.id}", headers=ann.headers)).json()
    assert answer.json()["email"] == "Anna@example.com"


async def test_one_may_write_ones_own_name_otherwise(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.patch(
        f"/api/users/{ann.id}", json={"username": "ANN", "email": "ANN@example.com"}, headers=ann.headers
    )

    assert (answer.status_code, answer.json()["username"]) == (200, "ANN")


async def test_changing_the_email_changes_the_login_and_ends_no_session(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.signed_in("ann")
    await client.patch(f"/api/users/{ann.id}", json={"email": "new@example.com"}, headers=ann.headers)

    for email, status in (("new@example.com", 200), ("ann@example.com", 401)):
        answer = await client.post("/api/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == status
    assert (await client.get("/api/auth/me", headers=ann.headers)).status_code == 200


@alike
async def test_somebody_elses_account_is_not_ones_to_change(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, method: str
) -> None:
    ann, bob = await accounts.add("ann"), await accounts.signed_in("bob")
    before = await row(database, ann.id)

    answer = await client.request(method, f"/api/users/{ann.id}", json={"username": "anna"}, headers=bob.headers)

    assert_problem(answer, 403, "FORBIDDEN", "Cannot update another user")
    assert await row(database, ann.id) == before


@alike
@pytest.mark.parametrize(
    "changes",
    [
        {"role": "admin"},
        {"role": "user"},
        {"is_active": True},
        {"is_active": False},
        {"username": "x1x", "role": "user"},
    ],
    ids=str,
)
async def test_users_send_neither_role_nor_is_active(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    method: str,
    changes: dict[str, object],
) -> None:
    ann = await accounts.signed_in("ann")
    before = await row(database, ann.id)

    answer = await client.request(method, f"/api/users/{ann.id}", json=changes, headers=ann.headers)

    assert_problem(answer, 403, "FORBIDDEN")
    assert await row(database, ann.id) == before


@alike
async def test_admins_change_everything_of_anybody(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, method: str
) -> None:
    ann, root = await accounts.add("ann"), await accounts.signed_in("root", role="admin")
    changes = {"username": "anna", "email": "anna@example.com", "role": "admin", "is_active": False}

    answer = await client.request(method, f"/api/users/{ann.id}", json=changes, headers=root.headers)

    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in changes} == changes
    assert {name: (await row(database, ann.id))[name] for name in changes} == changes


@alike
async def test_nobody_is_not_found(client: httpx.AsyncClient, accounts: Accounts, method: str) -> None:
    root = await accounts.signed_in("root", role="admin")

    answer = await client.request(method, "/api/users/999", json={"username": "anna"}, headers=root.headers)

    assert_problem(answer, 404, "NOT_FOUND")


@alike
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({}, ""),
        ({"username": "x"}, "/username"),
        ({"username": None}, "/username"),
        ({"email": "4711"}, "/email"),
        ({"email": "4711" * 30 + "@example.com"}, "/email"),
        ({"role": "root-4711"}, "/role"),
        ({"is_active": "4711"}, "/is_active"),
        ({"is_active": 1}, "/is_active"),
        ({"password": "hunter2-4711"}, "/password"),
        ({"id": 4711}, "/id"),
        ({"username_key": "4711"}, "/username_key"),
        ([], ""),
        ("4711", ""),
        (None, ""),
    ],
    ids=ascii,
)
async def test_bad_input_is_refused_where_it_is_and_never_echoed(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    method: str,
    changes: object,
    pointer: str,
) -> None:
    root = await accounts.signed_in("root", role="admin")
    before = await row(database, root.id)

    answer = await client.request(
        method,
        f"/api/users/{root.id}",
        content=httpx.Request("POST", "http://x", json=changes).content if changes is not None else b"null",
        headers=root.headers | {"Content-Type": "application/json"},
    )

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in document["errors"]] == [pointer]
    assert "4711" not in said(answer)
    assert await row(database, root.id) == before


@alike
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"username": "bob"}, "USERNAME_TAKEN"),
        ({"username": "\uff22\uff2f\uff22"}, "USERNAME_TAKEN"),
        ({"email": "BOB@example.com"}, "EMAIL_TAKEN"),
        ({"username": "anna", "email": "bob@example.com"}, "EMAIL_TAKEN"),
    ],
    ids=ascii,
)
async def test_what_somebody_else_has_is_taken(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    method: str,
    changes: dict[str, str],
    code: str,
) -> None:
    ann, _ = await accounts.signed_in("ann"), await accounts.add("bob")
    before = await row(database, ann.id)

    answer = await client.request(method, f"/api/users/{ann.id}", json=changes, headers=ann.headers)

    assert_problem(answer, 409, code)
    assert await row(database, ann.id) == before


@alike
async def test_an_unknown_query_parameter_is_refused(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, method: str
) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.request(method, f"/api/users/{ann.id}?x=1", json={"username": "anna"}, headers=ann.headers)

    assert_problem(answer, 400, "VALIDATION_ERROR")
    assert (await row(database, ann.id))["username"] == "ann"


async def test_disabling_ends_every_session_at_once(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann, root = await accounts.signed_in("ann"), await accounts.signed_in("root", role="admin")
    await accounts.log_in(ann)
    await client.patch(f"/api/users/{ann.id}", json={"is_active": False}, headers=root.headers)

    ended = "SELECT count(*) FROM sessions JOIN token_blocklist USING (id) WHERE user_id = $1 AND ended_at IS NOT NULL"
    assert await database.fetchval(ended, ann.id) == 2
    assert await database.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 1
    assert_problem(await client.get("/api/auth/me", headers=ann.headers), 401, "INVALID_TOKEN")


async def test_enabling_restores_no_session(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann, root = await accounts.signed_in("ann"), await accounts.signed_in("root", role="admin")
    for is_active in (False, True):
        await client.patch(f"/api/users/{ann.id}", json={"is_active": is_active}, headers=root.headers)

    assert (await row(database, ann.id))["is_active"] is True
    assert_problem(await client.get("/api/auth/me", headers=ann.headers), 401, "TOKEN_REVOKED")
    assert_problem(await client.post("/api/auth/refresh", headers=ann.refresh_headers), 401, "TOKEN_REVOKED")
    assert (await client.get("/api/auth/me", headers=(await accounts.log_in(ann)).headers)).status_code == 200


async def test_what_is_active_already_may_be_said_again(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann, root = await accounts.signed_in("ann"), await accounts.signed_in("root", role="admin")
    await client.patch(f"/api/users/{ann.id}", json={"is_active": True}, headers=root.headers)

    assert (await client.get("/api/auth/me", headers=ann.headers)).status_code == 200


async def test_a_demotion_changes_rights_at_once_and_ends_no_session(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    eve, root = await accounts.signed_in("eve", role="admin"), await accounts.signed_in("root", role="admin")
    await client.patch(f"/api/users/{eve.id}", json={"role": "user"}, headers=root.headers)

    assert_problem(await client.get("/api/auth/admin-only", headers=eve.headers), 403, "ADMIN_REQUIRED")
    assert (await client.get("/api/auth/me", headers=eve.headers)).json()["role"] == "user"


async def test_an_admin_demotes_themself_when_another_remains(client: httpx.AsyncClient, accounts: Accounts) -> None:
    root, _ = await accounts.signed_in("root", role="admin"), await accounts.add("eve", role="admin")

    answer = await client.patch(f"/api/users/{root.id}", json={"role": "user"}, headers=root.headers)

    assert (answer.status_code, answer.json()["role"]) == (200, "user")


@alike
@pytest.mark.parametrize(
    "changes", [{"role": "user"}, {"is_active": False}, {"role": "user", "is_active": False}], ids=str
)
async def test_the_last_active_admin_stays_one(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    method: str,
    changes: dict[str, object],
) -> None:
    root = await accounts.signed_in("root", role="admin")
    await accounts.add("sleeper", role="admin", is_active=False)
    before = await row(database, root.id)

    answer = await client.request(method, f"/api/users/{root.id}", json=changes, headers=root.headers)

    assert_problem(answer, 409, "LAST_ADMIN")
    assert await row(database, root.id) == before


async def test_the_last_admin_may_change_their_name(client: httpx.AsyncClient, accounts: Accounts) -> None:
    root = await accounts.signed_in("root", role="admin")

    answer = await client.put(
        f"/api/users/{root.id}", json={"username": "boss", "role": "admin", "is_active": True}, headers=root.headers
    )

    assert answer.status_code == 200


async def test_an_admin_who_is_disabled_already_may_be_demoted(client: httpx.AsyncClient, accounts: Accounts) -> None:
    root = await accounts.signed_in("root", role="admin")
    sleeper = await accounts.add("sleeper", role="admin", is_active=False)

    answer = await client.patch(f"/api/users/{sleeper.id}", json={"role": "user"}, headers=root.headers)

    assert answer.status_code == 200
