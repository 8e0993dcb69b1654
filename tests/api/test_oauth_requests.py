"""`POST /api/auth/token`: requests that can't lead to tokens, and what is not looked at."""

from __future__ import annotations

import asyncio

import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.hashing import Hashing
from tests.support.instances import Serve
from tests.support.oauth import PATH, assert_refused, good, post, sessions
from tests.support.problems import assert_problem


@pytest.mark.parametrize(
    "grant_type", ["authorization_code", "client_credentials", "Password", "refresh", "implicit", " password"]
)
async def test_another_grant_is_not_supported(client: httpx.AsyncClient, accounts: Accounts, grant_type: str) -> None:
    await accounts.add("ann")

    assert_refused(await post(client, good(grant_type=grant_type)), "unsupported_grant_type")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&&&",
        b"grant_type",
        b"grant_type=&username=ann&password=x",
        b"username=ann&password=x",
        b"grant_type=password&password=x",
        b"grant_type=password&username=ann",
        b"grant_type=password&username=&password=x",
        b"grant_type=password&username=ann&password=",
        b"grant_type=refresh_token",
        b"grant_type=refresh_token&refresh_token=",
        good().encode() + b"&grant_type=password",
        good().encode() + b"&username=bob",
        good().encode() + b"&unknown=1&unknown=2",
        good().encode() + b"%ff",
        good().encode() + b"&x=%C0%80",
        good().encode() + b"&x=%ED%A0%80",
        good().encode() + b"\xff",
        good().encode() + b"%00",
        good().encode() + b"\0",
        good().encode() + b"".join(b"&x%d=1" % number for number in range(48)),
    ],
    ids=lambda body: body[:64].decode(errors="replace")[-30:] + str(len(body)),
)
async def test_a_form_that_is_not_whole_is_an_invalid_request(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, body: bytes
) -> None:
    await accounts.add("ann")

    assert_refused(await post(client, body), "invalid_request")
    assert await sessions(database) == 0


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"grant_type": "password", "username": "ann", "password": "correct horse battery"}', "application/json"),
        (good(), "application/json"),
        (good(), "text/plain"),
        (good(), ""),
        (
            '--x\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\npassword\r\n--x--',
            "multipart/form-data; boundary=x",
        ),
    ],
    ids=["json", "not json", "text", "none", "multipart"],
)
async def test_what_is_no_form_is_an_invalid_request(
    client: httpx.AsyncClient, accounts: Accounts, body: str, content_type: str
) -> None:
    await accounts.add("ann")

    assert_refused(await post(client, body, content_type), "invalid_request")


async def test_credentials_in_the_query_are_not_used(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    await accounts.add("ann")

    assert_refused(await post(client, b"", path=f"{PATH}?{good()}"), "invalid_request")
    assert_refused(await post(client, b"grant_type=password", path=f"{PATH}?{good()}"), "invalid_request")
    assert await sessions(database) == 0


# What is not looked at


async def test_parameters_that_are_not_known_are_ignored(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    await accounts.add("ann")
    known_to_others = {"client_id": "swagger", "client_secret": "x", "scope": "read write", "empty": ""}

    assert (await post(client, good(**known_to_others))).status_code == 200
    assert (await post(client, good(), path=f"{PATH}?username=bob&x=1&x=2")).status_code == 200
    fifty = "".join(f"&x{number}=1" for number in range(47))
    assert (await post(client, good() + fifty)).status_code == 200


@pytest.mark.parametrize("scheme", ["Basic YW5uOnB3", "Basic", "Bearer x", "Digest x"])
async def test_client_authentication_is_ignored(client: httpx.AsyncClient, accounts: Accounts, scheme: str) -> None:
    await accounts.add("ann")

    assert (await post(client, good(), headers={"Authorization": scheme})).status_code == 200


# What is a problem document here, too


async def test_a_body_that_is_too_large_is_a_problem(client: httpx.AsyncClient) -> None:
    assert_problem(await post(client, b"x" * (2**20 + 1)), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_another_method_is_a_problem(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, PATH)

    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "OPTIONS, POST"


async def test_an_accept_without_json_is_a_problem(client: httpx.AsyncClient) -> None:
    assert_problem(await post(client, good(), headers={"Accept": "text/html"}), 406, "NOT_ACCEPTABLE")


async def test_two_authorizations_are_an_invalid_request(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, headers=[("Authorization", "Basic x"), ("Authorization", "Basic y")])

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


async def test_a_full_queue_is_a_problem(serve: Serve, accounts: Accounts, hashing: Hashing) -> None:
    await accounts.add("ann")
    async with serve(hash_threads=1, hash_queue=0) as instance:
        hashing.hold()
        first = asyncio.create_task(post(instance.client, good()))
        await hashing.until_asked(1)
        answer = await post(instance.client, good())
        hashing.go_on()

        assert (await first).status_code == 200
    assert_problem(answer, 503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1
