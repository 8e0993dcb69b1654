from __future__ import annotations

import asyncio
from typing import Any

import argon2
import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.problems import assert_problem, said

NEW = {"username": "ann", "email": "ann@example.com", "password": "hunter2-4711"}


async def register(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    return await client.post("/api/users/", json=NEW | changes)


async def assert_no_row(database: asyncpg.Connection) -> None:
    assert await database.fetchval("SELECT count(*) FROM users") == 0


@pytest.mark.parametrize("path", ["/api/users/", "/api/users"])
async def test_anybody_registers(client: httpx.AsyncClient, database: asyncpg.Connection, path: str) -> None:
    answer = await client.post(path, json=NEW)

    row = await database.fetchrow("SELECT * FROM users")
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/users/{row['id']}"
    assert answer.headers["content-type"] == "application/json"
    assert answer.json().keys() == {"id", "username", "email", "role", "is_active", "created_at", "updated_at"}
    assert (row["username"], row["email"], row["role"], row["is_active"]) == ("ann", "ann@example.com", "user", True)


async def test_the_password_is_stored_as_an_argon2id_hash_of_it(
    client: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    answer = await register(client)

    stored = await database.fetchval("SELECT password_hash FROM users")
    assert argon2.PasswordHasher().verify(stored, "hunter2-4711")
    assert stored not in answer.text
    assert "hunter2" not in answer.text


async def test_whoever_registered_can_log_in(client: httpx.AsyncClient) -> None:
    await register(client)

    answer = await client.post("/api/auth/login", json={"email": NEW["email"], "password": NEW["password"]})

    assert answer.status_code == 200


async def test_the_location_is_where_the_user_is(client: httpx.AsyncClient, accounts: Accounts) -> None:
    root = await accounts.signed_in("root", role="admin")
    made = await register(client)

    answer = await client.get(made.headers["location"], headers=root.headers)

    assert answer.json() == made.json()


async def test_an_email_is_stored_trimmed(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    await register(client, email="  Ann@Example.com\t")

    assert await database.fetchval("SELECT email FROM users") == "Ann@Example.com"


@pytest.mark.parametrize(
    "username",
    [
        "ann",
        "ANN",
        "Ann",
        "\uff41\uff4e\uff4e",
        "\uff21\uff2e\uff2e",
        "\N{MATHEMATICAL BOLD SMALL A}\N{MATHEMATICAL BOLD SMALL N}n",
        "\N{FEMININE ORDINAL INDICATOR}nn",
    ],
    ids=["same", "upper", "title", "fullwidth", "fullwidth upper", "bold", "ordinal"],
)
async def test_a_username_is_taken_in_any_case_and_compatibility_form(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, username: str
) -> None:
    await accounts.add("ann")

    answer = await register(client, username=username, email="other@example.com")

    assert_problem(answer, 409, "USERNAME_TAKEN", "Username already taken")
    assert await database.fetchval("SELECT count(*) FROM users") == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
        ("σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("ﬁlip", "Filip"),
        ("ǅordje", "ǆordje"),
        ("K\N{KELVIN SIGN}k", "kkk"),
        ("Å\N{ANGSTROM SIGN}å", "ååå"),
        ("e\u0301mile", "Émile"),
        ("\u1e9euss", "ssuss"),
        ("ﬅone", "stone"),
        ("Öl-ßeN", "öL-SSEn"),
    ],
    ids=ascii,
)
async def test_two_usernames_that_fold_alike_are_one(
    client: httpx.AsyncClient, database: asyncpg.Connection, first: str, second: str
) -> None:
    assert (await register(client, username=first)).status_code == 201

    answer = await register(client, username=second, email="other@example.com")

    assert_problem(answer, 409, "USERNAME_TAKEN")
    assert await database.fetchval("SELECT count(*) FROM users") == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("\u0131rmak", "irmak"),
        ("\u0131rmak", "Irmak"),
        ("anna", "änna"),
        ("\u0430nn", "ann"),
        ("ann1", "ann٣"),
        ("an.n", "an_n"),
    ],
    ids=["dotless i", "dotless i and I", "umlaut", "cyrillic a", "arabic digit", "signs"],
)
async def test_two_usernames_that_do_not_fold_alike_are_two(
    client: httpx.AsyncClient, database: asyncpg.Connection, first: str, second: str
) -> None:
    await register(client, username=first)

    assert (await register(client, username=second, email="other@example.com")).status_code == 201
    assert await database.fetchval("SELECT count(*) FROM users") == 2


@pytest.mark.parametrize(
    "email",
    ["ann@example.com", "ANN@EXAMPLE.COM", " ann@example.com ", "\uff41nn@example.com", "ann@\uff45xample.com"],
    ids=ascii,
)
async def test_an_email_is_taken_in_any_case_and_compatibility_form(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, email: str
) -> None:
    await accounts.add("ann")

    answer = await register(client, username="other", email=email)

    assert_problem(answer, 409, "EMAIL_TAKEN", "Email already registered")
    assert await database.fetchval("SELECT count(*) FROM users") == 1


async def test_an_email_with_sharp_s_is_one_with_ss(client: httpx.AsyncClient) -> None:
    await register(client, email="straße@example.com")

    assert_problem(await register(client, username="other", email="STRASSE@example.com"), 409, "EMAIL_TAKEN")


async def test_when_both_are_taken_one_is_named(client: httpx.AsyncClient, accounts: Accounts) -> None:
    await accounts.add("ann")

    answer = await register(client)

    assert answer.status_code == 409
    assert answer.json()["code"] in ("EMAIL_TAKEN", "USERNAME_TAKEN")


async def test_a_conflict_does_not_echo_the_other_account(client: httpx.AsyncClient, accounts: Accounts) -> None:
    await accounts.add("ann")

    assert "ann" not in (await register(client, username="ANN", email="ANN@example.com")).text


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"username": "x4711"[:2]}, "/username"),
        ({"username": "4711" * 21}, "/username"),
        ({"username": "a 4711"}, "/username"),
        ({"username": "4711\u3164"}, "/username"),
        ({"username": "4711\u200b"}, "/username"),
        ({"email": "4711"}, "/email"),
        ({"email": "4711@localhost"}, "/email"),
        ({"email": "4711" * 30 + "@example.com"}, "/email"),
        ({"password": "4711"}, "/password"),
        ({"password": "4711" * 33}, "/password"),
        ({"password": 47114711}, "/password"),
        ({"password": "hunter2-4711\0"}, "/password"),
        ({"username": "ann\0"}, "/username"),
        ({"role": "admin-4711"}, "/role"),
        ({"is_active": True}, "/is_active"),
        ({"a/b~c": "4711"}, "/a~1b~0c"),
        ({"password_hash": "4711"}, "/password_hash"),
    ],
    ids=ascii,
)
async def test_bad_input_is_refused_where_it_is_and_never_echoed(
    client: httpx.AsyncClient, database: asyncpg.Connection, changes: dict[str, Any], pointer: str
) -> None:
    answer = await register(client, **changes)

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in document["errors"]] == [pointer]
    assert all(fault.keys() == {"pointer", "code", "message"} for fault in document["errors"])
    assert "4711" not in said(answer)
    await assert_no_row(database)


@pytest.mark.parametrize("name", NEW)
async def test_every_member_is_needed(client: httpx.AsyncClient, database: asyncpg.Connection, name: str) -> None:
    answer = await client.post("/api/users/", json={key: value for key, value in NEW.items() if key != name})

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [(fault["pointer"], fault["code"]) for fault in document["errors"]] == [(f"/{name}", "missing")]
    await assert_no_row(database)


async def test_every_fault_is_told_at_once(client: httpx.AsyncClient) -> None:
    answer = await register(client, username="x", email="x", password="x")

    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/username", "/email", "/password"]


@pytest.mark.parametrize(
    "changes",
    [
        {"username": "abc"},
        {"username": "a" * 80},
        {"username": "\N{MATHEMATICAL BOLD SMALL A}" * 80},
        {"username": "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 80},
        {"email": "a" * 108 + "@example.com"},
        {"email": "\N{MATHEMATICAL BOLD SMALL A}" * 108 + "@example.com"},
        {"password": "8-bytes!"},
        {"password": "x" * 128},
        {"password": "\N{SNOWMAN}" * 128},
    ],
    ids=["3", "80", "80 astral", "80 that grow", "120", "120 astral", "8", "128", "128 wide"],
)
async def test_lengths_hold_at_their_edges(
    client: httpx.AsyncClient, database: asyncpg.Connection, changes: dict[str, str]
) -> None:
    answer = await register(client, **changes)

    assert answer.status_code == 201, answer.text
    for name in changes.keys() & {"username", "email"}:
        assert await database.fetchval(f"SELECT {name} FROM users") == changes[name]


async def test_an_unknown_query_parameter_is_refused(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    answer = await client.post("/api/users/?notify=1", json=NEW)

    assert [fault["pointer"] for fault in assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]] == ["?notify"]
    await assert_no_row(database)


async def test_a_token_is_not_looked_at(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/users/", json=NEW, headers={"Authorization": "Bearer nonsense"})

    assert answer.status_code == 201


async def test_a_body_of_very_many_members_has_one_fault(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/users/", json={str(number): 0 for number in range(20_000)})

    assert len(assert_problem(answer, 400, "VALIDATION_ERROR")["errors"]) == 1


async def test_a_name_of_a_thousand_accents_is_refused_without_being_joined(client: httpx.AsyncClient) -> None:
    name = "a" + "\u0315\u0300" * 100_000  # joining these takes half a minute

    answer = await asyncio.wait_for(client.post("/api/users/", json=NEW | {"username": name}), 5)

    assert_problem(answer, 400, "VALIDATION_ERROR")
