"""Who may do what: every method of every route, for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from flask import Flask
from service.api.docs import page
from service.app import create_app
from tests.conftest import make_settings
from tests.support.accounts import PASSWORD, Account, Accounts
from tests.support.problems import assert_problem
from tests.support.writings import Writings

EVERYBODY = ("nobody", "stranger", "owner", "admin", "disabled owner")
POST, COMMENT, USER = "/api/posts/{post}", "/api/posts/{post}/comments/{comment}", "/api/users/{owner}"
LOGIN = {"email": "owner@example.com", "password": PASSWORD}
TOKEN = {"grant_type": "password", "username": "owner", "password": PASSWORD}
NEW_PASSWORD = {"current_password": PASSWORD, "new_password": "another horse battery"}
Row = tuple[str, str, Any, tuple[int, int, int, int, int]]

# Method, path, body, and the statuses in the order of EVERYBODY. The owner is the account, and has written the post and
# the comment; there is one admin. A disabled owner's token is from before.
MATRIX: list[Row] = [
    ("POST", "/api/auth/login", LOGIN, (200, 200, 200, 200, 403)),
    ("POST", "/api/auth/token", TOKEN, (200, 200, 200, 200, 400)),
    ("POST", "/api/auth/refresh", None, (401, 200, 200, 200, 401)),
    ("DELETE", "/api/auth/logout", None, (401, 200, 200, 200, 401)),
    ("GET", "/api/auth/me", None, (401, 200, 200, 200, 401)),
    ("POST", "/api/auth/password", NEW_PASSWORD, (401, 200, 200, 200, 401)),
    ("GET", "/api/auth/sessions/", None, (401, 200, 200, 200, 401)),
    ("DELETE", "/api/auth/sessions/", None, (401, 204, 204, 204, 401)),
    ("DELETE", "/api/auth/sessions/{session}", None, (401, 404, 204, 404, 401)),
    ("GET", "/api/auth/admin-only", None, (401, 403, 403, 200, 401)),
    ("POST", "/api/users/", {"username": "new", "email": "new@example.com", "password": PASSWORD}, (201,) * 5),
    ("GET", "/api/users/", None, (401, 200, 200, 200, 401)),
    ("PATCH", "/api/users/?is_active=true", {"is_active": False}, (401, 403, 403, 200, 401)),
    ("DELETE", "/api/users/?is_active=true", None, (401, 403, 403, 200, 401)),
    ("GET", USER, None, (401, 200, 200, 200, 401)),
    ("PUT", USER, {"username": "renamed"}, (401, 403, 200, 200, 401)),
    ("PATCH", USER, {"username": "renamed"}, (401, 403, 200, 200, 401)),
    ("DELETE", USER, None, (401, 403, 204, 204, 401)),
    ("GET", USER + "/posts/", None, (200, 200, 200, 200, 200)),
    ("GET", "/api/posts/", None, (200, 200, 200, 200, 200)),
    ("POST", "/api/posts/", {"title": "New", "body": "New"}, (401, 201, 201, 201, 401)),
    ("GET", POST, None, (200, 200, 200, 200, 200)),
    ("PUT", POST, {"title": "New"}, (401, 403, 200, 200, 401)),
    ("PATCH", POST, {"title": "New"}, (401, 403, 200, 200, 401)),
    ("DELETE", POST, None, (401, 403, 204, 204, 401)),
    ("GET", POST + "/comments/", None, (200, 200, 200, 200, 200)),
    ("POST", POST + "/comments/", {"body": "New"}, (401, 201, 201, 201, 401)),
    ("GET", COMMENT, None, (200, 200, 200, 200, 200)),
    ("PUT", COMMENT, {"body": "New"}, (401, 403, 200, 200, 401)),
    ("PATCH", COMMENT, {"body": "New"}, (401, 403, 200, 200, 401)),
    ("DELETE", COMMENT, None, (401, 403, 204, 204, 401)),
    *(("GET", path, None, (200,) * 5) for path in ("/", "/livez", "/readyz", "/metrics", "/openapi.json")),
    *(
        ("GET", path, None, (200,) * 5)
        for path in ("/swagger/", "/swagger/{version}/{name}", "/problems/{slug}", "/problems/")
    ),
    ("GET", "/.well-known/jwks.json", None, (200,) * 5),
]
PLACES = {
    "post": "<uuid:post_id>",
    "comment": "<int:comment_id>",
    "owner": "<int:user_id>",
    "session": "<uuid:session_id>",
    "version": "<version>",
    "name": "<name>",
    "slug": "<slug>",
}


@pytest.fixture(scope="module")
def flask_app() -> Flask:
    return create_app(make_settings())


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Every method and rule. What answers without its slash, too, is one route; HEAD goes with GET."""
    for rule in app.url_map.iter_rules():
        if not rule.alias:
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield method, rule.rule


def test_the_matrix_names_every_route(flask_app: Flask) -> None:
    named = [(method, path.partition("?")[0].format_map(PLACES)) for method, path, _, _ in MATRIX]

    assert sorted(named) == sorted(routes(flask_app))


async def caller_of(accounts: Accounts, owner: Account, who: str) -> Account | None:
    """Who asks, signed in; the accounts that the matrix speaks of are all there."""
    people = {"owner": owner, "stranger": await accounts.add("stranger")}
    people["admin"] = await accounts.add("admin", role="admin")
    return None if who == "nobody" else await accounts.log_in(people[who.removeprefix("disabled ")])


async def ask(
    client: httpx.AsyncClient, method: str, path: str, body: object, caller: Account | None
) -> httpx.Response:
    headers = {} if caller is None else caller.refresh_headers if path.endswith("/refresh") else caller.headers
    sent: dict[str, Any] = {} if body is None else {"json": body}
    if path.endswith("/token"):
        sent = {"data": body}
    return await client.request(method, path, headers=headers, **sent)


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize(
    ("method", "path", "body", "statuses"), MATRIX, ids=[f"{method} {path}" for method, path, _, _ in MATRIX]
)
async def test_everybody_may_do_what_the_matrix_says(
    client: httpx.AsyncClient,
    accounts: Accounts,
    writings: Writings,
    database: asyncpg.Connection,
    method: str,
    path: str,
    body: object,
    statuses: tuple[int, ...],
    who: str,
) -> None:
    owner = await accounts.signed_in("owner")
    session_id = await database.fetchval("SELECT id FROM sessions")
    caller = await caller_of(accounts, owner, who)
    post_id = await writings.post(owner)
    comment_id = await writings.comment(post_id, owner)
    if who == "disabled owner":
        await database.execute("UPDATE users SET is_active = false WHERE id = $1", owner.id)
    places = {"post": post_id, "comment": comment_id, "owner": owner.id, "session": session_id}
    places |= {"version": page()[0], "name": "start.js", "slug": "not-found"}
    before = await everything(database)

    answer = await ask(client, method, path.format_map(places), body, caller)

    assert answer.status_code == statuses[EVERYBODY.index(who)], answer.text
    if answer.status_code in (401, 403) and not path.endswith("/login"):
        code = {401: "TOKEN_MISSING" if who == "nobody" else "INVALID_TOKEN", 403: answer.json()["code"]}
        assert_problem(answer, answer.status_code, code[answer.status_code])
        assert await everything(database) == before


async def everything(database: asyncpg.Connection) -> list[str]:
    """All rows that a refused request must leave as they were."""
    tables = ("users", "posts", "comments", "sessions", "token_blocklist")
    return [str(await database.fetch(f"SELECT * FROM {table} ORDER BY 1")) for table in tables]
