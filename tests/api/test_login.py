from __future__ import annotations

import datetime
from typing import Any, cast

import asyncpg
import httpx
import pytest
from service.edge import Edge
from tests.support.accounts import PASSWORD, PASSWORD_HASH, Accounts
from tests.support.instances import client_of
from tests.support.problems import assert_problem, said


async def log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/api/auth/login", json={"email": email, "password": password})


async def sessions(database: asyncpg.Connection) -> int:
    return cast(int, await database.fetchval("SELECT count(*) FROM sessions"))


async def test_a_login_gives_a_pair_and_the_user(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.add("ann")

    answer = await log_in(client, ann.email)

    document = answer.json()
    assert answer.status_code == 200
    assert document.keys() == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert (document["token_type"], document["expires_in"]) == ("Bearer", 900)
    assert (document["user"]["id"], document["user"]["email"]) == (ann.id, ann.email)
    assert document["user"].keys() == {"id", "username", "email", "role", "is_active", "created_at", "updated_at"}


async def test_a_login_begins_a_session(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")
    await log_in(client, ann.email)

    row = await database.fetchrow("SELECT * FROM sessions")
    assert (row["user_id"], row["parent_jti"], row["ended_at"]) == (ann.id, None, None)
    assert str(row["ip"]).removesuffix("/32") == "127.0.0.1"
    assert row["user_agent"].startswith("python-httpx/")
    days = [(row[name] - row["created_at"]) / datetime.timedelta(days=1) for name in ("expires_at", "ends_at")]
    assert [round(count) for count in days] == [30, 90]


async def test_each_login_is_a_session_of_its_own(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await accounts.log_in(ann)

    assert await sessions(database) == 2


@pytest.mark.parametrize(
    "email",
    ["ANN@EXAMPLE.COM", " ann@example.com\t", "Ann@Example.com", "\u3000ann@example.com", "\uff41nn@example.com"],
)
async def test_the_email_is_trimmed_and_case_folded(client: httpx.AsyncClient, accounts: Accounts, email: str) -> None:
    await accounts.add("ann")

    assert (await log_in(client, email)).status_code == 200


async def test_rules_of_length_do_not_apply_where_a_password_is_checked(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.add("ann")

    for password in ("x", "x" * 10_000):
        assert_problem(await log_in(client, ann.email, password), 401, "INVALID_CREDENTIALS", "Invalid credentials")


async def test_a_password_is_not_trimmed(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.add("ann")

    assert_problem(await log_in(client, ann.email, f" {PASSWORD} "), 401, "INVALID_CREDENTIALS")


async def test_an_unknown_email_and_a_wrong_password_are_told_alike(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")

    wrong = await client.post(
        "/api/auth/login", json={"email": ann.email, "password": "x"}, headers={"X-Request-ID": "same-request"}
    )
    unknown = await client.post(
        "/api/auth/login", json={"email": "x@example.com", "password": "x"}, headers={"X-Request-ID": "same-request"}
    )

    assert_problem(wrong, 401, "INVALID_CREDENTIALS", "Invalid credentials")
    assert wrong.content == unknown.content
    assert sorted(wrong.headers.raw) == sorted(unknown.headers.raw)
    assert await sessions(database) == 0


@pytest.mark.parametrize(
    "email", ["ann", "x" * 5000, "a@b", "%", "😀@😀"], ids=["no at", "long", "short", "%", "emoji"]
)
async def test_any_text_can_be_tried_as_an_email(client: httpx.AsyncClient, email: str) -> None:
    assert_problem(await log_in(client, email), 401, "INVALID_CREDENTIALS")


async def test_a_disabled_account_is_told_with_the_right_password(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann", is_active=False)

    assert_problem(await log_in(client, ann.email), 403, "ACCOUNT_DISABLED", "Account disabled")
    assert await sessions(database) == 0


async def test_a_disabled_account_is_not_told_with_a_wrong_password(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.add("ann", is_active=False)

    assert_problem(await log_in(client, ann.email, "x"), 401, "INVALID_CREDENTIALS")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "ann@example.com"},
        {"password": "x"},
        {"email": "", "password": "x"},
        {"email": "a", "password": ""},
    ],
    ids=["neither", "no password", "no email", "empty email", "empty password"],
)
async def test_a_login_needs_both(client: httpx.AsyncClient, body: dict[str, str]) -> None:
    answer = await client.post("/api/auth/login", json=body)

    assert_problem(answer, 400, "VALIDATION_ERROR", "Email and password required")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": 5, "password": "hunter2-4711"}, "/email"),
        ({"email": "a@example.com", "password": ["hunter2-4711"]}, "/password"),
        ({"email": "a@example.com", "password": "hunter2-4711", "otp": "hunter2-4711"}, "/otp"),
        (["hunter2-4711"], ""),
        ({"email": "a@example.com", "password": "hunter2-4711\0"}, "/password"),
    ],
    ids=["email a number", "password a list", "unknown member", "a list", "U+0000"],
)
async def test_a_login_of_another_shape_is_refused_without_an_echo(
    client: httpx.AsyncClient, body: Any, pointer: str
) -> None:
    answer = await client.post("/api/auth/login", json=body)

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in document["errors"]] == [pointer]
    assert "4711" not in said(answer)


async def test_an_unknown_query_parameter_is_refused(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.add("ann")

    answer = await client.post("/api/auth/login?x=1", json={"email": ann.email, "password": PASSWORD})

    assert_problem(answer, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "stored", ["", "x", "!", "$argon2id$v=19$m=8,t=1,p=1$bad", "$argon2id$v=19$é", "é", PASSWORD], ids=ascii
)
async def test_a_malformed_stored_hash_lets_nobody_in(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, stored: str
) -> None:
    ann = await accounts.add("ann")
    await database.execute("UPDATE users SET password_hash = $1", stored)

    assert_problem(await log_in(client, ann.email), 401, "INVALID_CREDENTIALS")


async def test_an_argon2id_hash_of_other_costs_lets_its_user_in(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.add("ann")

    assert "m=8,t=1" in PASSWORD_HASH
    assert (await log_in(client, ann.email)).status_code == 200


@pytest.mark.parametrize(
    "address", ["2001:db8::1", "fe80::1%eth0", "unix:", ""], ids=["ipv6", "link-local", "?", "none"]
)
async def test_a_login_works_from_any_address(
    app: Edge, accounts: Accounts, database: asyncpg.Connection, address: str
) -> None:
    ann = await accounts.add("ann")
    async with client_of(app, address=address) as client:
        assert (await log_in(client, ann.email)).status_code == 200

    assert await sessions(database) == 1


@pytest.mark.parametrize(
    ("agent", "kept"),
    [(b"x" * 1000, "x" * 256), (b"", None), (b"\xff\xfe", "\xff\xfe")],
    ids=["long", "empty", "not ascii"],
)
async def test_a_session_remembers_what_fits_of_the_user_agent(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, agent: bytes, kept: str | None
) -> None:
    ann = await accounts.add("ann")
    await client.post(
        "/api/auth/login", json={"email": ann.email, "password": PASSWORD}, headers=[(b"user-agent", agent)]
    )

    assert await database.fetchval("SELECT user_agent FROM sessions") == kept


async def test_answers_with_tokens_are_not_stored(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.add("ann")

    assert (await log_in(client, ann.email)).headers["cache-control"] == "no-store"


async def test_an_email_longer_than_any_is_not_looked_for(client: httpx.AsyncClient) -> None:
    email = "a" + "\u0315\u0300" * 100_000 + "@example.com"  # folding this takes the database many seconds

    answer = await client.post("/api/auth/login", json={"email": email, "password": "correct horse"})

    assert_problem(answer, 401, "INVALID_CREDENTIALS")
