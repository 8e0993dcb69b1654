"""What a route asks of the token in `Authorization`, at the routes for access tokens and at the one for refresh."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from service.context import Context
from service.tokens import Claims, TokenType, generation
from tests.conftest import SECRET
from tests.support.accounts import Account, Accounts
from tests.support.problems import assert_problem

GUARDED = [
    ("GET", "/api/auth/me"),
    ("DELETE", "/api/auth/logout"),
    ("GET", "/api/auth/admin-only"),
    ("GET", "/api/users/"),
    ("GET", "/api/users"),
    ("GET", "/api/users/1"),
    ("PUT", "/api/users/1"),
    ("PATCH", "/api/users/1"),
    ("DELETE", "/api/users/1"),
]
guarded = pytest.mark.parametrize(("method", "path"), GUARDED, ids=lambda part: part)
both = pytest.mark.parametrize(
    ("method", "path", "kind"),
    [("GET", "/api/auth/me", TokenType.ACCESS), ("POST", "/api/auth/refresh", TokenType.REFRESH)],
    ids=["access", "refresh"],
)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def claims_of(account: Account, **changes: Any) -> Claims:
    payload = jwt.decode(account.refresh_token, options={"verify_signature": False})
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    values: dict[str, Any] = {
        "user_id": account.id,
        "session_id": uuid.UUID(payload["sid"]),
        "jti": uuid.UUID(payload["jti"]),
        "issued_at": now,
        "expires_at": now + datetime.timedelta(seconds=60),
    }
    return Claims(**(values | changes))


@guarded
async def test_a_route_that_is_not_public_needs_a_token(client: httpx.AsyncClient, method: str, path: str) -> None:
    assert_problem(await client.request(method, path), 401, "TOKEN_MISSING", "Missing access token")


@guarded
async def test_a_route_that_is_not_public_needs_an_access_token(
    client: httpx.AsyncClient, accounts: Accounts, method: str, path: str
) -> None:
    ann = await accounts.signed_in("ann")

    assert_problem(await client.request(method, path, headers=ann.refresh_headers), 401, "WRONG_TOKEN_TYPE")


async def test_refreshing_needs_a_refresh_token(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    assert_problem(await client.post("/api/auth/refresh", headers=ann.headers), 401, "WRONG_TOKEN_TYPE")


@both
@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Basic YTpi", "Token x", "x", "Bearer\tx", "Bearerx y"],
)
async def test_another_scheme_or_an_empty_one_is_no_token(
    client: httpx.AsyncClient, method: str, path: str, kind: TokenType, value: str
) -> None:
    answer = await client.request(method, path, headers={"Authorization": value})

    assert_problem(answer, 401, "TOKEN_MISSING")
    assert answer.headers["www-authenticate"] == "Bearer"


@both
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR", "Bearer "])
async def test_the_scheme_may_be_in_any_case(
    client: httpx.AsyncClient, accounts: Accounts, method: str, path: str, kind: TokenType, scheme: str
) -> None:
    ann = await accounts.signed_in("ann")
    token = ann.access_token if kind is TokenType.ACCESS else ann.refresh_token

    answer = await client.request(method, path, headers={"Authorization": f"{scheme} {token}"})

    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["access_token", "token", "jwt"])
async def test_a_token_in_a_cookie_is_not_looked_at(client: httpx.AsyncClient, accounts: Accounts, name: str) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get("/api/auth/me", headers={"Cookie": f"{name}={ann.access_token}"})

    assert_problem(answer, 401, "TOKEN_MISSING")


async def test_a_token_in_the_query_is_not_looked_at(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get("/api/auth/me", params={"access_token": ann.access_token})

    assert_problem(answer, 401, "TOKEN_MISSING")


async def test_two_authorization_headers_are_malformed(client: httpx.AsyncClient, accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    answer = await client.get("/api/auth/me", headers=[*ann.headers.items(), *ann.headers.items()])

    assert_problem(answer, 400, "MALFORMED_REQUEST")


@both
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda token: token + "=", id="= appended"),
        pytest.param(lambda token: token[:-2], id="cut"),
        pytest.param(lambda token: token + ".x", id="four parts"),
        pytest.param(lambda token: token + " x", id="a word behind"),
        pytest.param(lambda token: token.replace(".", "é", 1), id="not ascii"),
        pytest.param(lambda token: token + "A" * 4096, id="over 4 KiB"),
        pytest.param(lambda token: "x", id="one letter"),
        pytest.param(
            lambda token: jwt.encode(
                jwt.decode(token, options={"verify_signature": False}),
                "another key of at least thirty-two bytes",
                headers={**jwt.get_unverified_header(token)},
            ),
            id="another key",
        ),
        pytest.param(
            lambda token: jwt.encode(
                jwt.decode(token, options={"verify_signature": False}),
                "",
                algorithm="none",
                headers={name: value for name, value in jwt.get_unverified_header(token).items() if name != "alg"},
            ),
            id="alg none",
        ),
        pytest.param(
            lambda token: jwt.encode(
                jwt.decode(token, options={"verify_signature": False}),
                SECRET,
                headers={**jwt.get_unverified_header(token), "jku": "https://evil.example.com"},
            ),
            id="unknown header member",
        ),
        pytest.param(
            lambda token: jwt.encode(
                jwt.decode(token, options={"verify_signature": False}) | {"exp": 10**30},
                SECRET,
                headers=jwt.get_unverified_header(token),
            ),
            id="exp huge",
        ),
    ],
)
async def test_a_forged_token_is_invalid(
    client: httpx.AsyncClient,
    accounts: Accounts,
    method: str,
    path: str,
    kind: TokenType,
    damage: Callable[[str], str],
) -> None:
    ann = await accounts.signed_in("ann")
    token = damage(ann.access_token if kind is TokenType.ACCESS else ann.refresh_token)

    answer = await client.request(method, path, headers=[(b"authorization", f"Bearer {token}".encode("latin-1"))])

    assert_problem(answer, 401, "INVALID_TOKEN", "Invalid token")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert token not in answer.text


@both
async def test_an_expired_token_is_told(
    client: httpx.AsyncClient, accounts: Accounts, context: Context, method: str, path: str, kind: TokenType
) -> None:
    ann = await accounts.signed_in("ann")
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    token = context.tokens.sign(claims_of(ann, issued_at=past, expires_at=past + datetime.timedelta(minutes=4)), kind)

    assert_problem(await client.request(method, path, headers=bearer(token)), 401, "TOKEN_EXPIRED", "Token has expired")


@both
async def test_the_token_of_a_deleted_user_is_invalid(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    method: str,
    path: str,
    kind: TokenType,
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute("DELETE FROM users")

    headers = ann.headers if kind is TokenType.ACCESS else ann.refresh_headers
    assert_problem(await client.request(method, path, headers=headers), 401, "INVALID_TOKEN")


@both
async def test_the_token_of_a_user_disabled_by_sql_is_invalid(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    method: str,
    path: str,
    kind: TokenType,
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute("UPDATE users SET is_active = false")

    headers = ann.headers if kind is TokenType.ACCESS else ann.refresh_headers
    assert_problem(await client.request(method, path, headers=headers), 401, "INVALID_TOKEN")


@both
async def test_the_token_of_a_user_disabled_by_an_admin_is_invalid(
    client: httpx.AsyncClient, accounts: Accounts, method: str, path: str, kind: TokenType
) -> None:
    ann, root = await accounts.signed_in("ann"), await accounts.signed_in("root", role="admin")
    await client.patch(f"/api/users/{ann.id}", json={"is_active": False}, headers=root.headers)

    headers = ann.headers if kind is TokenType.ACCESS else ann.refresh_headers
    assert_problem(await client.request(method, path, headers=headers), 401, "INVALID_TOKEN")


@pytest.mark.parametrize("name", ["jti", "sid"], ids=["its generation", "its session"])
async def test_a_token_on_the_blocklist_is_revoked(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, name: str
) -> None:
    ann = await accounts.signed_in("ann")
    claim = uuid.UUID(jwt.decode(ann.access_token, options={"verify_signature": False})[name])
    blocked = generation(claim) if name == "jti" else claim
    await database.execute("INSERT INTO token_blocklist VALUES ($1, now() + interval '1 hour')", blocked)

    answer = await client.get("/api/auth/me", headers=ann.headers)

    assert_problem(answer, 401, "TOKEN_REVOKED", "Token has been revoked")


async def test_a_refresh_token_of_no_session_is_invalid(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute("DELETE FROM sessions")

    assert_problem(await client.post("/api/auth/refresh", headers=ann.refresh_headers), 401, "INVALID_TOKEN")


async def test_a_refresh_token_of_anothers_session_is_invalid_and_ends_nothing(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, context: Context
) -> None:
    ann, bob = await accounts.signed_in("ann"), await accounts.signed_in("bob")
    token = context.tokens.sign(claims_of(ann, user_id=bob.id, jti=uuid.uuid4()), TokenType.REFRESH)

    assert_problem(await client.post("/api/auth/refresh", headers=bearer(token)), 401, "INVALID_TOKEN")
    assert await database.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == 2


async def test_the_role_comes_from_the_database_on_each_request(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    await database.execute("UPDATE users SET role = 'admin'")
    assert (await client.get("/api/auth/admin-only", headers=ann.headers)).status_code == 200
    await database.execute("UPDATE users SET role = 'user'")

    assert_problem(await client.get("/api/auth/admin-only", headers=ann.headers), 403, "ADMIN_REQUIRED")


async def test_tokens_say_what_the_contract_names(accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    for token, seconds in ((ann.access_token, 900), (ann.refresh_token, 30 * 86_400)):
        payload = jwt.decode(token, SECRET, algorithms=["HS256"], audience="postern", issuer="postern")
        assert payload["sub"] == str(ann.id)
        assert payload["exp"] - payload["iat"] == seconds
