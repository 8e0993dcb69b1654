"""`POST /api/auth/token`: the two grants, and every answer in the form of RFC 6749 §5 where it says so."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from urllib.parse import urlencode

import asyncpg
import httpx
import pytest
from service.context import Context
from service.tokens import Claims, TokenType
from tests.support.accounts import PASSWORD, Accounts
from tests.support.attempts import FORM, ask_for_token
from tests.support.oauth import assert_refused, good, post, sessions
from tests.support.problems import assert_problem
from tests.support.sessions import change_password, me, payload, refresh, refreshed, with_tokens


async def by_password(client: httpx.AsyncClient, username: str, password: str = PASSWORD) -> httpx.Response:
    return await ask_for_token(client, grant_type="password", username=username, password=password)


async def by_refresh(client: httpx.AsyncClient, refresh_token: str) -> httpx.Response:
    return await ask_for_token(client, grant_type="refresh_token", refresh_token=refresh_token)


# The password grant


async def test_a_password_gets_a_pair(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.add("ann")

    answer = await by_password(client, ann.email)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    document = answer.json()
    assert document.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (document["token_type"], document["expires_in"]) == ("Bearer", 900)
    new = with_tokens(ann, answer)
    assert (await me(client, new)).json()["id"] == ann.id
    assert (await refresh(client, new)).status_code == 200
    row = await database.fetchrow("SELECT * FROM sessions")
    assert (row["user_id"], str(row["id"])) == (ann.id, payload(new.access_token)["sid"])
    assert row["user_agent"].startswith("python-httpx/")


@pytest.mark.parametrize(
    "username",
    ["ann", "ANN", " ann\t", "\uff41nn", "ann@example.com", " Ann@EXAMPLE.com ", "\u3000\uff41nn@example.com"],
)
async def test_the_username_is_the_email_or_the_username_in_any_spelling(
    client: httpx.AsyncClient, accounts: Accounts, username: str
) -> None:
    await accounts.add("ann")

    assert (await by_password(client, username)).status_code == 200


async def test_plus_and_percent_are_escapes_as_in_any_form(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    await accounts.add("ann")

    assert "+" in urlencode({"password": PASSWORD})
    assert (await post(client, good())).status_code == 200
    assert (await post(client, good().replace("+", "%20"))).status_code == 200
    assert (await post(client, good(), f"{FORM}; charset=utf-8")).status_code == 200
    assert (await post(client, good(), FORM.upper())).status_code == 200


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("ann", "wrong"),
        ("ann", f" {PASSWORD} "),
        ("ann@example.com", "x" * 10_000),
        ("nobody", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("bob", PASSWORD),
        ("bob", "wrong"),
        ("x" * 5000, PASSWORD),
        ("x@" + "\u0315\u0300" * 20_000, PASSWORD),
        (" ", PASSWORD),
        ("%", "%"),
    ],
    ids=lambda text: ascii(text[:20]),
)
async def test_whatever_is_wrong_with_name_or_password_is_an_invalid_grant(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, username: str, password: str
) -> None:
    await accounts.add("ann")
    await accounts.add("bob", is_active=False)

    assert_refused(await by_password(client, username, password), "invalid_grant")
    assert await sessions(database) == 0


async def test_unknown_and_wrong_are_told_alike(client: httpx.AsyncClient, accounts: Accounts) -> None:
    await accounts.add("ann")

    answers = [await by_password(client, name, "wrong") for name in ("ann", "nobody", "nobody@example.com")]

    assert len({answer.content for answer in answers}) == 1


# The refresh_token grant


async def test_a_refresh_token_gets_the_next_pair_of_its_session(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")

    new = with_tokens(ann, await by_refresh(client, ann.refresh_token))

    assert payload(new.refresh_token)["sid"] == payload(ann.refresh_token)["sid"]
    assert (await me(client, new)).status_code == 200
    assert str(await database.fetchval("SELECT parent_jti FROM sessions")) == payload(ann.refresh_token)["jti"]


async def test_a_retry_gets_the_same_pair_on_either_route(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answers = [await by_refresh(client, ann.refresh_token), await refresh(client, ann)]
    answers += await asyncio.gather(*(by_refresh(client, ann.refresh_token) for _ in range(5)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


async def test_a_token_that_was_exchanged_ends_the_session_when_it_comes_back(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    new = await refreshed(client, await refreshed(client, ann))

    assert_refused(await by_refresh(client, ann.refresh_token), "invalid_grant")

    assert await database.fetchval("SELECT ended_at IS NOT NULL FROM sessions")
    assert_problem(await me(client, new), 401, "TOKEN_REVOKED")
    assert_refused(await by_refresh(client, new.refresh_token), "invalid_grant")


@pytest.mark.parametrize("token", ["x", "a.b.c", "é" * 20, "x" * 5000, 'ends in a quote"\\'])
async def test_what_is_no_refresh_token_is_an_invalid_grant(client: httpx.AsyncClient, token: str) -> None:
    assert_refused(await by_refresh(client, token), "invalid_grant")


async def test_an_access_token_is_no_refresh_token(client: httpx.AsyncClient, accounts: Accounts) -> None:
    assert_refused(await by_refresh(client, (await accounts.signed_in("ann")).access_token), "invalid_grant")


async def test_an_expired_refresh_token_is_an_invalid_grant(
    client: httpx.AsyncClient, accounts: Accounts, context: Context
) -> None:
    ann = await accounts.signed_in("ann")
    claims, past = payload(ann.refresh_token), datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)
    ids = ann.id, uuid.UUID(claims["sid"]), uuid.UUID(claims["jti"])
    expired = Claims(*ids, past, past + datetime.timedelta(hours=1))

    assert_refused(await by_refresh(client, context.tokens.sign(expired, TokenType.REFRESH)), "invalid_grant")


@pytest.mark.parametrize(
    "over",
    [
        "UPDATE sessions SET expires_at = now() - interval '1 second'",
        "UPDATE sessions SET ended_at = now()",
        "DELETE FROM sessions",
        "UPDATE users SET is_active = false",
        "DELETE FROM users",
    ],
    ids=["expired", "ended", "purged", "disabled", "deleted"],
)
async def test_the_token_of_a_session_that_is_over_is_an_invalid_grant(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, over: str
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute(over)

    assert_refused(await by_refresh(client, ann.refresh_token), "invalid_grant")


async def test_a_token_from_before_the_password_was_changed_is_an_invalid_grant(
    client: httpx.AsyncClient, accounts: Accounts
) -> None:
    ann = await accounts.signed_in("ann")
    new = with_tokens(ann, await change_password(client, ann))

    assert_refused(await by_refresh(client, ann.refresh_token), "invalid_grant")
    assert (await by_refresh(client, new.refresh_token)).status_code == 200
