"""What holds for every route: paths and methods, bodies, media types, headers, and the order of refusals."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.problems import assert_problem, said

JSON = {"Content-Type": "application/json"}
NEW = b'{"username": "ann", "email": "ann@example.com", "password": "hunter2-4711"}'
TOO_LARGE = b" " * (2**20 + 1)
ALLOWED = {
    "/": "GET, HEAD, OPTIONS",
    "/livez": "GET, HEAD, OPTIONS",
    "/readyz": "GET, HEAD, OPTIONS",
    "/metrics": "GET, HEAD, OPTIONS",
    "/problems/": "GET, HEAD, OPTIONS",
    "/problems/not-found": "GET, HEAD, OPTIONS",
    "/api/users/": "DELETE, GET, HEAD, OPTIONS, PATCH, POST",
    "/api/users": "DELETE, GET, HEAD, OPTIONS, PATCH, POST",
    "/api/users/1": "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
    "/api/auth/login": "OPTIONS, POST",
    "/api/auth/refresh": "OPTIONS, POST",
    "/api/auth/logout": "DELETE, OPTIONS",
    "/api/auth/me": "GET, HEAD, OPTIONS",
    "/api/auth/admin-only": "GET, HEAD, OPTIONS",
}


@pytest.mark.parametrize("path", ["/nothing", "/api", "/api/", "/api/nothing", "/api/users/x", "/problems/nothing"])
async def test_an_unknown_path_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for path, allowed in ALLOWED.items()
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "QUERY")
        if method not in allowed.split(", ")
    ],
)
async def test_a_known_path_with_another_method_names_its_own(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path)

    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert sorted(answer.headers["allow"].split(", ")) == sorted(ALLOWED[path].split(", "))


@pytest.mark.parametrize("path", ALLOWED)
async def test_options_names_the_methods(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.options(path)

    assert answer.status_code in (200, 204)
    assert sorted(answer.headers["allow"].split(", ")) == sorted(ALLOWED[path].split(", "))


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/problems/", "/problems/not-found"])
async def test_head_is_there_wherever_get_is(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.head(path)

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/users"),
        ("GET", "/api/users"),
        ("POST", "/api/users/"),
        ("GET", "/problems"),
        ("GET", "/problems/"),
    ],
)
async def test_collections_answer_with_and_without_their_slash(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path, follow_redirects=False)

    assert answer.status_code in (200, 400, 401)
    assert "location" not in answer.headers


# Bodies

MALFORMED = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\xef\xbb\xbf" + NEW, id="byte order mark"),
    pytest.param(NEW.replace(b"ann@", b"\xff@"), id="not utf-8"),
    pytest.param(NEW.decode().encode("utf-16"), id="utf-16"),
    pytest.param(NEW + NEW, id="two values"),
    pytest.param(NEW[:-1], id="cut"),
    pytest.param(NEW[:-1] + b', "password": "hunter2-4711"}', id="duplicate member"),
    pytest.param(NEW[:-1] + b', "x": NaN}', id="NaN"),
    pytest.param(NEW[:-1] + b', "x": -Infinity}', id="Infinity"),
    pytest.param(NEW[:-1] + b', "x": ' + b"[" * 20 + b"]" * 20 + b"}", id="depth 21"),
    pytest.param(b"[" * 100_000, id="depth 100,000"),
    pytest.param(NEW.replace(b"hunter2", b"\\ud800"), id="lone surrogate"),
    pytest.param(NEW.replace(b"hunter2", b"\\udc00\\ud800"), id="surrogates reversed"),
    pytest.param(b"username=ann&password=hunter2-4711", id="a form"),
    pytest.param(b"{'username': 'hunter2-4711'}", id="single quotes"),
]


@pytest.mark.parametrize("body", MALFORMED)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/users/"), ("POST", "/api/auth/login"), ("PATCH", "/api/users/1")], ids=str
)
async def test_a_body_that_is_not_one_json_value_is_malformed(
    client: httpx.AsyncClient,
    accounts: Accounts,
    database: asyncpg.Connection,
    method: str,
    path: str,
    body: bytes,
) -> None:
    bob = await accounts.signed_in("bob")

    answer = await client.request(method, path, content=body, headers=bob.headers | JSON)

    assert_problem(answer, 400, "MALFORMED_REQUEST")
    assert "4711" not in said(answer)
    assert [row["username"] for row in await database.fetch("SELECT username FROM users")] == ["bob"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(NEW[:-1] + b', "x": ' + b"[" * 19 + b"]" * 19 + b"}", id="depth 20"),
        pytest.param(NEW.replace(b"hunter2", b"\\u0000"), id="U+0000"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"hunter2-4711"', id="a text"),
        pytest.param(b"1e999", id="a number without end"),
    ],
)
async def test_a_body_of_another_shape_is_invalid(
    client: httpx.AsyncClient, database: asyncpg.Connection, body: bytes
) -> None:
    answer = await client.post("/api/users/", content=body, headers=JSON)

    assert_problem(answer, 400, "VALIDATION_ERROR")
    assert "4711" not in said(answer)
    assert await database.fetchval("SELECT count(*) FROM users") == 0


async def test_escaped_surrogate_pairs_are_letters(client: httpx.AsyncClient, database: asyncpg.Connection) -> None:
    body = NEW.replace(b'"ann"', b'"\\ud801\\udc37nn"')

    assert (await client.post("/api/users/", content=body, headers=JSON)).status_code == 201
    assert await database.fetchval("SELECT username FROM users") == "\U00010437nn"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
    ],
)
async def test_json_in_utf_8_may_be_said_in_many_ways(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await client.post("/api/users/", content=NEW, headers={"Content-Type": content_type})

    assert answer.status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/jsonx",
        "application/json, text/plain",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "json",
        "*/*",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/users/"), ("POST", "/api/auth/login"), ("PATCH", "/api/users/1")], ids=str
)
async def test_another_media_type_is_not_supported(
    client: httpx.AsyncClient, database: asyncpg.Connection, method: str, path: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = await client.request(method, path, content=NEW, headers=headers)

    assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert await database.fetchval("SELECT count(*) FROM users") == 0


async def test_no_body_and_no_type_is_malformed(client: httpx.AsyncClient) -> None:
    assert_problem(await client.post("/api/users/"), 400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("announced", [True, False], ids=["with a length", "in chunks"])
async def test_a_body_may_be_as_large_as_the_limit(client: httpx.AsyncClient, announced: bool) -> None:
    body = NEW + b" " * (2**20 - len(NEW))

    async def chunks() -> Any:
        for at in range(0, len(body), 2**16):
            yield body[at : at + 2**16]

    answer = await client.post("/api/users/", content=body if announced else chunks(), headers=JSON)

    assert answer.status_code == 201


@pytest.mark.parametrize("announced", [True, False], ids=["with a length", "in chunks"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/users/"), ("DELETE", "/api/auth/logout"), ("GET", "/api/auth/me"), ("POST", "/api/auth/refresh")],
)
async def test_a_body_may_not_be_larger(client: httpx.AsyncClient, method: str, path: str, announced: bool) -> None:
    async def chunks() -> Any:
        yield TOO_LARGE

    content = TOO_LARGE if announced else chunks()
    answer = await client.request(method, path, content=content, headers=JSON)

    assert_problem(answer, 413, "PAYLOAD_TOO_LARGE")


# Accept


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/json",
        "application/*",
        "text/html, application/json;q=0.1",
        "text/html;q=0.9, */*;q=0.1",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "text/html, application/json;version=1;q=0.5",
    ],
)
async def test_whoever_takes_json_is_served(client: httpx.AsyncClient, accept: str | None) -> None:
    headers = JSON | ({} if accept is None else {"Accept": accept})

    assert (await client.post("/api/users/", content=NEW, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/xml, text/*",
        "application/json;q=0",
        "application/json;q=0, text/html",
        "application/problem+json",
        "*/*;q=0",
        "application/json;q=0, */*",
    ],
)
async def test_whoever_excludes_json_gets_a_problem(
    client: httpx.AsyncClient, database: asyncpg.Connection, accept: str
) -> None:
    answer = await client.post("/api/users/", content=NEW, headers=JSON | {"Accept": accept})

    assert_problem(answer, 406, "NOT_ACCEPTABLE")
    assert await database.fetchval("SELECT count(*) FROM users") == 0


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/problems/not-found"])
async def test_nothing_is_unacceptable_outside_of_the_api(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"Accept": "text/html"})).status_code == 200


async def test_problems_always_go_out(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/api/nothing", headers={"Accept": "text/html"}), 404, "NOT_FOUND")


# Headers

EVERY = ["/", "/livez", "/readyz", "/metrics", "/problems/not-found", "/nothing", "/api/users/", "/api/auth/me"]


@pytest.mark.parametrize("path", EVERY)
async def test_every_answer_carries_its_headers(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "server" not in answer.headers
    assert "strict-transport-security" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", EVERY)
async def test_the_callers_request_id_is_kept(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path, headers={"X-Request-ID": "my_own.id-1"})).headers["x-request-id"] == "my_own.id-1"


@pytest.mark.parametrize(
    ("path", "cache_control"),
    [
        ("/api/auth/me", "no-store"),
        ("/api/auth/nothing", "no-store"),
        ("/api/users/", "private, no-cache"),
        ("/api/nothing", "private, no-cache"),
    ],
)
async def test_answers_of_the_api_are_not_shared(client: httpx.AsyncClient, path: str, cache_control: str) -> None:
    assert (await client.get(path)).headers["cache-control"] == cache_control


@pytest.mark.parametrize("path", ["/api/users/", "/api/nothing"])
async def test_answers_of_the_api_vary(client: httpx.AsyncClient, path: str) -> None:
    assert {"Authorization", "Origin"} <= set((await client.get(path)).headers["vary"].split(", "))


# The order of refusals: each request has two faults, and the earlier one is told.


@pytest.fixture
async def ann(accounts: Accounts) -> Account:
    """A user; bob, whose id is the next one, is the last active admin."""
    ann = await accounts.signed_in("ann")
    bob = await accounts.add("bob", role="admin")
    assert (ann.id, bob.id) == (1, 2)
    return ann


ORDER = [
    pytest.param("POST", "/api/nothing", TOO_LARGE, "json", 404, "NOT_FOUND", id="404 before 413"),
    pytest.param("POST", "/api/nothing", NEW, "text", 404, "NOT_FOUND", id="404 before 415"),
    pytest.param("PUT", "/api/users/", TOO_LARGE, "json", 405, "METHOD_NOT_ALLOWED", id="405 before 413"),
    pytest.param("PUT", "/api/users/", NEW, "text", 405, "METHOD_NOT_ALLOWED", id="405 before 415"),
    pytest.param("PUT", "/api/users/?x=1", b"", "json", 405, "METHOD_NOT_ALLOWED", id="405 before 400"),
    pytest.param("PATCH", "/api/users/1", TOO_LARGE, "json", 413, "PAYLOAD_TOO_LARGE", id="413 before 401"),
    pytest.param("DELETE", "/api/users/1", TOO_LARGE, "json", 413, "PAYLOAD_TOO_LARGE", id="413 before 401, no body"),
    pytest.param("PATCH", "/api/users/1", NEW, "text", 415, "UNSUPPORTED_MEDIA_TYPE", id="415 before 401"),
    pytest.param("PATCH", "/api/users/1", b"{", "json", 401, "TOKEN_MISSING", id="401 before malformed"),
    pytest.param("PATCH", "/api/users/1", b"", "none", 401, "TOKEN_MISSING", id="401 before empty"),
    pytest.param("GET", "/api/users/?x=1", b"", "none", 401, "TOKEN_MISSING", id="401 before invalid: list"),
    pytest.param("GET", "/api/users/1?x=1", b"", "none", 401, "TOKEN_MISSING", id="401 before invalid: get"),
    pytest.param("PUT", "/api/users/1?x=1", b"{}", "json", 401, "TOKEN_MISSING", id="401 before invalid: put"),
    pytest.param("DELETE", "/api/users/1?x=1", b"", "none", 401, "TOKEN_MISSING", id="401 before invalid: delete"),
    pytest.param("GET", "/api/auth/me?x=1", b"", "none", 401, "TOKEN_MISSING", id="401 before invalid: me"),
    pytest.param("DELETE", "/api/auth/logout?x=1", b"", "none", 401, "TOKEN_MISSING", id="401 before invalid: logout"),
    pytest.param("POST", "/api/auth/refresh?x=1", b"", "none", 401, "TOKEN_MISSING", id="401 before invalid: refresh"),
    pytest.param("GET", "/api/auth/admin-only?x=1", b"", "none", 401, "TOKEN_MISSING", id="401 before invalid: admin"),
    pytest.param("PATCH", "/api/users/1", b'{"x": 1, "x": 1}', "ann", 400, "MALFORMED_REQUEST", id="malformed first"),
    pytest.param("PATCH", "/api/users/1?x=1", b"{", "ann", 400, "MALFORMED_REQUEST", id="malformed before the query"),
    pytest.param("POST", "/api/users/?x=1", b"{", "json", 400, "MALFORMED_REQUEST", id="malformed before the query 2"),
    pytest.param("PATCH", "/api/users/999", b'{"x": 1}', "ann", 400, "VALIDATION_ERROR", id="invalid before 404"),
    pytest.param("GET", "/api/users/999?x=1", b"", "ann", 400, "VALIDATION_ERROR", id="invalid before 404: get"),
    pytest.param("DELETE", "/api/users/999?x=1", b"", "ann", 400, "VALIDATION_ERROR", id="invalid before 404: delete"),
    pytest.param("GET", "/api/auth/admin-only?x=1", b"", "ann", 400, "VALIDATION_ERROR", id="invalid before 403"),
    pytest.param(
        "PATCH", "/api/users/999", b'{"username": "eve"}', "ann", 404, "NOT_FOUND", id="404 before 403: patch"
    ),
    pytest.param("PUT", "/api/users/999", b'{"role": "user"}', "ann", 404, "NOT_FOUND", id="404 before 403: role"),
    pytest.param("DELETE", "/api/users/999", b"", "ann", 404, "NOT_FOUND", id="404 before 403: delete"),
    pytest.param("PATCH", "/api/users/2", b'{"username": "ann"}', "ann", 403, "FORBIDDEN", id="403 before 409: taken"),
    pytest.param(
        "PATCH",
        "/api/users/1",
        b'{"username": "bob", "role": "user"}',
        "ann",
        403,
        "FORBIDDEN",
        id="403 before 409: role",
    ),
    pytest.param("PATCH", "/api/users/2", b'{"role": "user"}', "ann", 403, "FORBIDDEN", id="403 before 409: demote"),
    pytest.param("DELETE", "/api/users/2", b"", "ann", 403, "FORBIDDEN", id="403 before 409: last admin"),
]


@pytest.mark.parametrize(("method", "path", "body", "kind", "status", "code"), ORDER)
async def test_of_two_faults_the_earlier_is_told(
    client: httpx.AsyncClient, ann: Account, method: str, path: str, body: bytes, kind: str, status: int, code: str
) -> None:
    headers = {"json": JSON, "text": {"Content-Type": "text/plain"}, "none": {}, "ann": ann.headers | JSON}[kind]

    assert_problem(await client.request(method, path, content=body, headers=headers), status, code)


async def test_a_password_is_echoed_by_no_refusal(client: httpx.AsyncClient) -> None:
    secret = "hunter2-4711"
    for body in (
        {"username": "x", "email": "x", "password": secret},
        {"username": secret + " ", "email": secret, "password": [secret]},
        {"password": {"deep": [secret]}, secret[:3]: 1},
        [secret],
    ):
        for path in ("/api/users/", "/api/auth/login"):
            answer = await client.post(path, content=json.dumps(body), headers=JSON)
            assert answer.status_code == 400
            assert secret not in answer.text
