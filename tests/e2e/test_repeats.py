"""Requests that are repeated at once, and known states, over real sockets to two real processes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import httpx
import pytest
from tests.support.processes import PROGRAMS, Running, environment, running
from tests.support.repeats import KEY, assert_same, is_replayed

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def servers(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    env = environment(
        APP_ENV="production", SECRET_KEY="e2e-0123456789-abcdefghijklmnopqrstuvwxyz", DATABASE_URL=database_url
    )
    command = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
    folder = tmp_path_factory.mktemp("repeats")
    with running(*command, folder=folder, env=env) as one, running(*command, folder=folder, env=env) as other:
        yield [one, other]


async def headers_of_a_member(client: httpx.AsyncClient) -> dict[str, str]:
    name = f"e2e{uuid.uuid4().hex}"
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    made = await client.post("/api/users/", json=account)
    assert made.status_code == 201, made.text
    entered = await client.post("/api/auth/login", json={"email": account["email"], "password": PASSWORD})
    return {"Authorization": f"Bearer {entered.json()['access_token']}"}


async def test_of_fifty_equal_requests_over_fifty_connections_one_has_its_effect(servers: list[Running]) -> None:
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    async with httpx.AsyncClient(base_url=servers[0].address, limits=limits, timeout=20) as client:
        headers = {**await headers_of_a_member(client), "Idempotency-Key": KEY}
        post = {"title": uuid.uuid4().hex, "body": "once"}

        answers = await asyncio.gather(
            *(client.post(f"{servers[n % 2].address}/api/posts/", json=post, headers=headers) for n in range(50))
        )

        (first,) = [answer for answer in answers if answer.status_code == 201 and not is_replayed(answer)]
        others = {(answer.status_code, is_replayed(answer)) for answer in answers if answer is not first}
        assert others <= {(201, True), (409, False)}
        assert_same(first, await client.post("/api/posts/", json=post, headers=headers))
        me = (await client.get("/api/auth/me", headers=headers)).json()["id"]
        assert (await client.get(f"/api/users/{me}/posts")).json()["total"] == 1


async def test_what_is_known_is_not_sent_again_over_a_connection_that_goes_on(servers: list[Running]) -> None:
    async with httpx.AsyncClient(base_url=servers[0].address, limits=httpx.Limits(max_connections=1)) as client:
        headers = await headers_of_a_member(client)
        made = await client.post("/api/posts/", json={"title": "t", "body": "b"}, headers=headers)
        path, known = made.headers["location"], {"If-None-Match": made.headers["etag"]}

        for method in ("GET", "HEAD", "GET"):
            again = await client.request(method, path, headers=known)
            assert (again.status_code, again.content) == (304, b"")
            assert "content-type" not in again.headers
            assert again.headers["etag"] == made.headers["etag"]
        assert (await client.get(path)).json() == made.json()
