"""Requests that are repeated with their `Idempotency-Key` (contract: Conditional and repeated requests)."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.attempts import COUNTING
from tests.support.hashing import Hashing
from tests.support.instances import Serve
from tests.support.problems import assert_problem
from tests.support.repeats import KEY, assert_same, is_replayed, send
from tests.support.things import KINDS, Making, Things

each = pytest.mark.parametrize("kind", KINDS)
written = pytest.mark.parametrize("kind", ["post", "comment"])


@pytest.fixture
async def ann(accounts: Accounts) -> Account:
    return await accounts.signed_in("ann")


@pytest.fixture
async def making(things: Things, ann: Account, kind: str) -> Making:
    return await things.making(kind, ann)


@each
async def test_a_repeated_request_gets_the_first_answer_and_has_no_effect(
    client: httpx.AsyncClient, things: Things, making: Making, kind: str
) -> None:
    before = await things.count(kind)

    first, second, third = [await send(client, making) for _ in range(3)]

    assert_same(first, second)
    assert_same(first, third)
    assert await things.count(kind) == before + 1


@written
async def test_without_a_key_each_request_has_its_effect(
    client: httpx.AsyncClient, things: Things, making: Making, kind: str
) -> None:
    answers = [await client.post(making.path, json=making.body(), headers=making.headers) for _ in range(2)]

    assert [is_replayed(answer) for answer in answers] == [False, False]
    assert await things.count(kind) == 2


@written
async def test_another_key_is_another_request(
    client: httpx.AsyncClient, things: Things, making: Making, kind: str
) -> None:
    answers = [await send(client, making, key=key) for key in (KEY, KEY + "x", KEY.upper())]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert await things.count(kind) == 3


@each
@pytest.mark.parametrize(
    "key", ["12345678", "x" * 128, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"], ids=["8", "128", "signs"]
)
async def test_keys_are_visible_ascii(client: httpx.AsyncClient, making: Making, key: str) -> None:
    assert_same(await send(client, making, key=key), await send(client, making, key=key))


@each
@pytest.mark.parametrize("key", ["", "1234567", "x" * 129, "with a blank", "with\ta tab", "umläute!!"], ids=repr)
async def test_other_keys_are_refused(
    client: httpx.AsyncClient, things: Things, making: Making, kind: str, key: str
) -> None:
    before = await things.count(kind)
    headers = {**making.headers, "Idempotency-Key": key.encode("latin-1")}

    answer = await client.post(making.path, json=making.body(), headers=headers)  # type: ignore[arg-type]  # bytes do

    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in document["errors"]] == ["Idempotency-Key"]
    assert "umläute" not in answer.text
    assert await things.count(kind) == before


@each
async def test_how_the_json_is_written_does_not_matter(client: httpx.AsyncClient, making: Making) -> None:
    first = await send(client, making)
    other = json.dumps(dict(reversed(making.body().items())), indent=3).replace("s", "\\u0073")

    again = await client.post(
        making.path.rstrip("/"),
        content=other,
        headers={**making.headers, "Idempotency-Key": KEY, "Content-Type": "application/json"},
    )

    assert_same(first, again)


@written
async def test_another_body_is_another_request_under_a_key_that_is_taken(
    client: httpx.AsyncClient, things: Things, making: Making, kind: str
) -> None:
    first = await send(client, making)

    assert_problem(await send(client, making, making.body("else")), 422, "IDEMPOTENCY_KEY_REUSED")
    assert await things.count(kind) == 1
    assert_same(first, await send(client, making))


async def test_another_post_is_another_request_under_a_key_that_is_taken(
    client: httpx.AsyncClient, things: Things, ann: Account
) -> None:
    one, other = [await things.making("comment", ann) for _ in range(2)]
    await send(client, one)

    assert_problem(await send(client, other), 422, "IDEMPOTENCY_KEY_REUSED")
    assert await things.count("comment") == 1


@written
async def test_the_same_key_of_another_user_is_another_key(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, making: Making, kind: str
) -> None:
    bob = await accounts.signed_in("bob")
    first = await send(client, making)

    bobs = await send(client, Making(kind, making.path, bob))

    assert (bobs.status_code, is_replayed(bobs), bobs.json()["author"]) == (201, False, "bob")
    assert_same(first, await send(client, making))
    assert await things.count(kind) == 2


async def test_the_same_key_on_another_route_is_another_key(
    client: httpx.AsyncClient, things: Things, ann: Account
) -> None:
    answers = [await send(client, await things.making(kind, ann)) for kind in KINDS]

    assert [(answer.status_code, is_replayed(answer)) for answer in answers] == [(201, False)] * 3


@written
async def test_another_session_of_the_user_repeats_a_request(
    client: httpx.AsyncClient, accounts: Accounts, ann: Account, making: Making, kind: str
) -> None:
    first = await send(client, making)

    assert_same(first, await send(client, Making(kind, making.path, await accounts.log_in(ann))))


@written
async def test_a_key_gives_nothing_to_who_is_not_signed_in(client: httpx.AsyncClient, making: Making) -> None:
    await send(client, making)

    answer = await send(client, making, Authorization="Bearer none")

    assert_problem(answer, 401, "INVALID_TOKEN")


@written
async def test_what_has_changed_since_is_answered_as_it_was(client: httpx.AsyncClient, making: Making) -> None:
    first = await send(client, making)
    await client.patch(first.headers["location"], json={"body": "changed"}, headers=making.headers)
    assert_same(first, await send(client, making))

    await client.delete(first.headers["location"], headers=making.headers)
    assert_same(first, await send(client, making))


# Registrations, which nobody is signed in for


async def test_another_registration_with_the_same_key_is_another_request(
    client: httpx.AsyncClient, things: Things
) -> None:
    making = Making("user", "/api/users/", None)

    ann, bob = await send(client, making, making.body("ann")), await send(client, making, making.body("bob"))

    assert [(answer.status_code, is_replayed(answer)) for answer in (ann, bob)] == [(201, False)] * 2
    assert bob.json()["username"] == "bob"
    assert_same(ann, await send(client, making, making.body("ann")))


@pytest.mark.parametrize(
    "changed", [{"password": "9 signs.."}, {"email": "ann@example.org"}, {"username": "anna"}], ids=str
)
async def test_who_knows_a_key_and_not_the_whole_request_gets_nobodys_answer(
    client: httpx.AsyncClient, changed: dict[str, str]
) -> None:
    making = Making("user", "/api/users/", None)
    await send(client, making)

    answer = await send(client, making, making.body() | changed)

    assert (answer.status_code, is_replayed(answer)) == (409, False)


async def test_a_repeated_registration_is_not_the_one_who_signed_ins_but_the_requests(
    client: httpx.AsyncClient, ann: Account
) -> None:
    making = Making("user", "/api/users/", None)
    first = await send(client, making)

    assert_same(first, await send(client, making, **ann.headers))


async def test_a_repeated_registration_costs_no_hash(client: httpx.AsyncClient, hashing: Hashing) -> None:
    making = Making("user", "/api/users/", None)
    await send(client, making)
    made = hashing.made

    assert is_replayed(await send(client, making))
    assert (made, hashing.made, hashing.asked) == (1, 1, [])


async def test_repeated_registrations_count(serve: Serve, database: asyncpg.Connection) -> None:
    making = Making("user", "/api/users/", None)
    async with serve(**COUNTING, registration_rate=3) as instance:
        answers = [await send(instance.client, making) for _ in range(4)]

    assert [(answer.status_code, is_replayed(answer)) for answer in answers] == [
        (201, False), (201, True), (201, True), (429, False)
    ]  # fmt: skip
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]


# Refusals


@each
async def test_an_invalid_request_leaves_the_key_free(client: httpx.AsyncClient, making: Making) -> None:
    bodies: list[Any] = [{"nonsense": 1}, [], {**making.body(), "more": 1}]
    for body in bodies:
        assert_problem(await send(client, making, body), 400, "VALIDATION_ERROR")

    assert_same(await send(client, making), await send(client, making))


@written
async def test_a_request_without_a_token_leaves_the_key_free(client: httpx.AsyncClient, making: Making) -> None:
    assert_problem(await send(client, making, Authorization="Bearer none"), 401, "INVALID_TOKEN")

    assert_same(await send(client, making), await send(client, making))


async def test_a_password_that_is_too_easy_leaves_the_key_free(client: httpx.AsyncClient) -> None:
    making = Making("user", "/api/users/", None)
    easy = making.body() | {"password": "password123"}
    for _ in range(2):
        assert_problem(await send(client, making, easy), 400, "VALIDATION_ERROR")

    assert_same(await send(client, making), await send(client, making))


async def test_a_name_that_was_taken_leaves_the_key_free(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    making, taken = Making("user", "/api/users/", None), await accounts.add("something")
    assert (await send(client, making)).status_code == 409
    await database.execute("DELETE FROM users WHERE id = $1", taken.id)

    assert_same(await send(client, making), await send(client, making))


async def test_a_post_that_was_not_there_leaves_the_key_free(
    client: httpx.AsyncClient, things: Things, database: asyncpg.Connection, ann: Account
) -> None:
    making = await things.making("comment", ann)
    post_id = making.path.split("/")[3]
    await database.execute("DELETE FROM posts")
    assert_problem(await send(client, making), 404, "NOT_FOUND")
    await database.execute("INSERT INTO posts (id, author_id, title, body) VALUES ($1, $2, 't', 'b')", post_id, ann.id)

    assert_same(await send(client, making), await send(client, making))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
async def test_on_other_methods_a_key_says_nothing(
    client: httpx.AsyncClient, things: Things, ann: Account, method: str
) -> None:
    thing = await things.add("post", ann)
    body: Any = thing.changes() if method in ("PUT", "PATCH") else None

    answer = await client.request(method, thing.path, json=body, headers={**ann.headers, "Idempotency-Key": "short"})

    assert answer.is_success
    assert "idempotency-replayed" not in answer.headers
