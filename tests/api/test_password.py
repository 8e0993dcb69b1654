"""`POST /api/auth/password`: what is asked of it, and what it leaves alive."""

from __future__ import annotations

from typing import Any

import argon2
import asyncpg
import httpx
import pytest
from tests.support.accounts import PASSWORD, Account, Accounts
from tests.support.attempts import log_in
from tests.support.problems import assert_problem, said
from tests.support.sessions import NEW_PASSWORD, change_password, me, payload, refresh, refreshed, with_tokens


async def everything(database: asyncpg.Connection) -> list[Any]:
    """All that a change of the password may change."""
    return [await database.fetch(f"SELECT * FROM {table}") for table in ("users", "sessions", "token_blocklist")]


async def assert_dead(client: httpx.AsyncClient, *accounts: Account) -> None:
    """See that these accounts' tokens are revoked."""
    for account in accounts:
        assert_problem(await me(client, account), 401, "TOKEN_REVOKED", "Token has been revoked")
        assert_problem(await refresh(client, account), 401, "TOKEN_REVOKED", "Token has been revoked")


async def assert_alive(client: httpx.AsyncClient, account: Account) -> Account:
    """See that these tokens work; return the account with the next."""
    assert (await me(client, account)).status_code == 200
    return await refreshed(client, account)


async def test_the_answer_is_a_pair(client: httpx.AsyncClient, accounts: Accounts) -> None:
    answer = await change_password(client, await accounts.signed_in("ann"))

    assert answer.status_code == 200
    assert answer.json().keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 900)
    assert answer.headers["cache-control"] == "no-store"


async def test_the_new_password_logs_in_and_the_old_one_does_not(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    before = dict(await database.fetchrow("SELECT * FROM users"))
    await change_password(client, ann)

    assert_problem(await log_in(client, ann.email), 401, "INVALID_CREDENTIALS")
    assert (await log_in(client, ann.email, NEW_PASSWORD)).status_code == 200
    after = dict(await database.fetchrow("SELECT * FROM users"))
    assert after["password_hash"].startswith("$argon2id$")
    assert {name for name in after if after[name] != before[name]} == {"password_hash", "updated_at"}


async def test_the_new_pair_is_of_the_same_session_and_works(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    new = with_tokens(ann, await change_password(client, ann))

    assert {payload(token)["sid"] for token in (new.access_token, new.refresh_token)} == {
        payload(ann.access_token)["sid"]
    }
    listed = (await client.get("/api/auth/sessions", headers=new.headers)).json()["sessions"]
    assert [(session["id"], session["current"]) for session in listed] == [(payload(ann.access_token)["sid"], True)]
    await assert_alive(client, await assert_alive(client, new))


async def test_of_the_sessions_row_only_the_pair_changes(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await refreshed(client, await accounts.signed_in("ann"))
    await database.execute("UPDATE sessions SET last_used_at = now() - interval '1 hour', expires_at = now() + '1 day'")
    before = await database.fetchrow("SELECT * FROM sessions")
    new = with_tokens(ann, await change_password(client, ann))

    after = await database.fetchrow("SELECT * FROM sessions")
    for name in ("id", "user_id", "created_at", "last_used_at", "ends_at", "ended_at", "ip", "user_agent"):
        assert after[name] == before[name]
    assert str(after["refresh_jti"]) == payload(new.refresh_token)["jti"]
    assert str(after["access_jti"]) == payload(new.access_token)["jti"]
    assert after["parent_jti"] is None


async def test_all_earlier_tokens_of_the_session_are_revoked_and_it_goes_on(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, emptying: str
) -> None:
    """Also when all of it happens within one second, the unit of the tokens' times."""
    for _ in range(5):
        earlier = [await accounts.log_in(await accounts.add("ann"))]
        for _ in range(3):
            earlier.append(await refreshed(client, earlier[-1]))
        new = with_tokens(earlier[-1], await change_password(client, earlier[-1]))
        if len({payload(account.access_token)["iat"] for account in [*earlier, new]}) == 1:
            break
        await database.execute(emptying)  # it went over the end of a second: once more
    else:
        pytest.fail("it never took less than a second")

    await assert_dead(client, *earlier)
    new = await assert_alive(client, new)
    await assert_dead(client, *earlier)
    await assert_alive(client, new)
    assert await database.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 1


async def test_a_lost_answer_of_a_refresh_is_not_given_again_after_the_change(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.signed_in("ann")
    new = with_tokens(ann, await change_password(client, await refreshed(client, ann)))

    assert_problem(await refresh(client, ann), 401, "TOKEN_REVOKED")
    await assert_alive(client, new)


async def test_every_other_session_ends(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.signed_in("bob")
    others = [await accounts.log_in(ann) for _ in range(3)]
    others.append(await refreshed(client, others[0]))
    new = with_tokens(ann, await change_password(client, ann))

    await assert_dead(client, *others)
    await assert_alive(client, new)
    await assert_alive(client, bob)
    ended = {str(row["id"]) for row in await database.fetch("SELECT id FROM sessions WHERE ended_at IS NOT NULL")}
    assert ended == {payload(other.access_token)["sid"] for other in others}


async def test_a_password_can_be_changed_again(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    first = with_tokens(ann, await change_password(client, ann))
    second = with_tokens(ann, await change_password(client, first, NEW_PASSWORD, PASSWORD))

    await assert_dead(client, ann, first)
    await assert_alive(client, second)
    assert (await log_in(client, ann.email, PASSWORD)).status_code == 200


# What is refused


@pytest.mark.parametrize("current", ["wrong", "x", "x" * 10_000, f" {PASSWORD}", PASSWORD.upper(), NEW_PASSWORD])
async def test_a_wrong_current_password_changes_nothing(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, current: str
) -> None:
    ann = await accounts.signed_in("ann")
    await accounts.log_in(ann)
    before = await everything(database)

    answer = await change_password(client, ann, current)

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in document["errors"]] == ["/current_password"]
    assert await everything(database) == before
    await assert_alive(client, ann)


@pytest.mark.parametrize("current", ["x", "x" * 1000], ids=["short", "long"])
async def test_a_current_password_may_have_any_length(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, current: str
) -> None:
    ann = await accounts.signed_in("ann")
    stored = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(current)
    await database.execute("UPDATE users SET password_hash = $1", stored)

    assert (await change_password(client, ann, current)).status_code == 200


@pytest.mark.parametrize("new", ["8 signs.", "x" * 128, "\N{SNOWMAN}" * 128, "        ", "annabella", "annabelle1"])
async def test_a_new_password_is_8_to_128_characters(client: httpx.AsyncClient, accounts: Accounts, new: str) -> None:
    ann = await accounts.signed_in("annabelle")

    assert (await change_password(client, ann, new=new)).status_code == 200
    assert (await log_in(client, ann.email, new)).status_code == 200


def wide(text: str) -> str:
    """The same in full-width forms."""
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


@pytest.mark.parametrize(
    "new",
    [
        "",
        "7 signs",
        "x" * 129,
        "password1",
        "PassWord1",
        " password1 ",
        wide("password1"),
        wide("PASSWORD1"),
        "annabelle",
        "ANNABELLE",
        wide("annabelle"),
        wide("Annabelle"),
        "annabelle@example.com",
        "Annabelle@EXAMPLE.com",
        wide("annabelle@example.com"),
    ],
)
async def test_a_new_password_that_is_easy_to_guess_is_refused(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, new: str
) -> None:
    ann = await accounts.signed_in("annabelle")
    before = await everything(database)

    answer = await change_password(client, ann, new=new)

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in document["errors"]] == ["/new_password"]
    assert not new or new not in said(answer).replace("new_password", "")
    assert await everything(database) == before


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/current_password", "/new_password"]),
        ({"current_password": PASSWORD}, ["/new_password"]),
        ({"new_password": NEW_PASSWORD}, ["/current_password"]),
        ({"current_password": "", "new_password": NEW_PASSWORD}, ["/current_password"]),
        ({"current_password": PASSWORD, "new_password": 12345678}, ["/new_password"]),
        ({"current_password": PASSWORD, "new_password": NEW_PASSWORD, "user_id": 1}, ["/user_id"]),
        ({"current_password": PASSWORD, "new_password": "null \0 null"}, ["/new_password"]),
        ([PASSWORD, NEW_PASSWORD], [""]),
    ],
    ids=["nothing", "no new", "no current", "empty current", "a number", "unknown member", "U+0000", "a list"],
)
async def test_a_body_of_another_shape_is_refused(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, body: Any, pointers: list[str]
) -> None:
    ann = await accounts.signed_in("ann")
    before = await everything(database)

    answer = await client.post("/api/auth/password", json=body, headers=ann.headers)

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert sorted(fault["pointer"] for fault in document["errors"]) == pointers
    assert await everything(database) == before


async def test_an_unknown_query_parameter_is_refused(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

    answer = await client.post("/api/auth/password?x=1", json=body, headers=ann.headers)

    assert_problem(answer, 400, "VALIDATION_ERROR")
    assert (await log_in(client, ann.email)).status_code == 200


async def test_changing_a_password_needs_a_token(client: httpx.AsyncClient) -> None:
    assert_problem(await client.post("/api/auth/password", json={}), 401, "TOKEN_MISSING", "Missing access token")


async def test_changing_a_password_needs_an_access_token(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.post("/api/auth/password", json={}, headers=ann.refresh_headers)

    assert_problem(answer, 401, "WRONG_TOKEN_TYPE")
