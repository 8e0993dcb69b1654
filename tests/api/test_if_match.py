"""Writes that ask for the state they were made for (RFC 9110 §13.1.1), and their place in the order of refusals."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Account, Accounts
from tests.support.problems import assert_problem
from tests.support.things import KINDS, Thing, Things

each = pytest.mark.parametrize("kind", KINDS)
alike = pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
RIGHT = ["{0}", '"other", {0}', '"a",{0},"b"', "*"]
WRONG = [
    '"other"',
    "W/{0}",  # weak
    '"a", "b", W/{0}',
    '"{1}x"',
    '"{1:.8}"',
    "",
    '""',
    '"*"',
    "garbage",
    '"{1}',
    ",,",
]


@pytest.fixture
async def ann(accounts: Accounts) -> Account:
    return await accounts.signed_in("ann")


async def tag_of(client: httpx.AsyncClient, thing: Thing) -> str:
    etag: str = (await client.get(thing.path, headers=thing.owner.headers)).headers["etag"]
    return etag


async def write(
    client: httpx.AsyncClient,
    thing: Thing,
    method: str,
    tag: str,
    *,
    by: Account | None = None,
    text: str = "changed",
    **changes: Any,
) -> httpx.Response:
    headers = {**(by or thing.owner).headers, "If-Match": tag}
    body = None if method == "DELETE" else changes or thing.changes(text)
    return await client.request(method, thing.path, headers=headers, json=body)


@each
@alike
async def test_who_knows_the_state_may_write(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, kind: str, method: str
) -> None:
    for number, wanted in enumerate(RIGHT):
        thing = await things.add(kind, await accounts.signed_in(f"ann{number}"))
        before = await things.row(thing)

        answer = await write(client, thing, method, wanted.format(await tag_of(client, thing)), text=f"new{number}")

        assert answer.status_code == (204 if method == "DELETE" else 200), wanted
        assert await things.row(thing) != before


@each
@alike
async def test_who_does_not_know_the_state_changes_nothing(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str, method: str
) -> None:
    thing = await things.add(kind, ann)
    before, etag = await things.row(thing), await tag_of(client, thing)
    for wanted in WRONG:
        answer = await write(client, thing, method, wanted.format(etag, etag.strip('"')))

        assert_problem(answer, 412, "PRECONDITION_FAILED")
        assert "etag" not in answer.headers
        assert await things.row(thing) == before


@each
@alike
async def test_a_tag_is_good_for_one_change(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str, method: str
) -> None:
    thing = await things.add(kind, ann)
    etag = await tag_of(client, thing)
    first = await write(client, thing, "PATCH", etag)

    assert_problem(await write(client, thing, method, etag), 412, "PRECONDITION_FAILED")
    again = await write(client, thing, method, first.headers["etag"])
    assert again.is_success


@each
async def test_the_tag_of_what_was_made_is_good_for_its_change(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, ann: Account, kind: str
) -> None:
    root, making = await accounts.signed_in("root", role="admin"), await things.making(kind, ann)
    made = await client.post(making.path, json=making.body(), headers=making.headers)
    thing = Thing(kind, made.json()["id"], made.headers["location"], root)

    assert (await write(client, thing, "PATCH", made.headers["etag"])).status_code == 200


@each
async def test_a_change_to_what_is_already_there_is_a_change(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str
) -> None:
    thing = await things.add(kind, ann)
    etag = await tag_of(client, thing)
    await write(client, thing, "PATCH", etag)
    first = await tag_of(client, thing)

    again = await write(client, thing, "PATCH", first)

    assert again.status_code == 200
    assert again.headers["etag"] != first


@each
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_two_header_fields_are_one_list(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str, method: str
) -> None:
    thing = await things.add(kind, ann)
    headers = [*ann.headers.items(), ("If-Match", '"other"'), ("If-Match", await tag_of(client, thing))]
    body = None if method == "DELETE" else thing.changes()

    answer = await client.request(method, thing.path, headers=headers, json=body)

    assert answer.is_success


async def test_the_tag_of_a_strangers_view_is_not_the_one_to_write_with(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, ann: Account
) -> None:
    thing, bob = await things.add("user", ann), await accounts.signed_in("bob")
    strangers = (await client.get(thing.path, headers=bob.headers)).headers["etag"]

    assert_problem(await write(client, thing, "PATCH", strangers), 412, "PRECONDITION_FAILED")


@pytest.mark.parametrize("kind", ["post", "comment"])
@alike
async def test_an_author_with_a_new_name_makes_what_was_read_stale(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str, method: str
) -> None:
    thing = await things.add(kind, ann)
    etag = await tag_of(client, thing)
    await client.patch(f"/api/users/{ann.id}", json={"username": "anne"}, headers=ann.headers)

    assert_problem(await write(client, thing, method, etag), 412, "PRECONDITION_FAILED")


# The order of refusals


@each
async def test_nobody_is_told_of_a_state_without_a_token(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str
) -> None:
    thing = await things.add(kind, ann)

    answer = await write(client, thing, "PATCH", '"stale"', by=Account(0, "", "", "none"))

    assert_problem(answer, 401, "INVALID_TOKEN")


@each
async def test_an_invalid_body_comes_before_the_state(
    client: httpx.AsyncClient, things: Things, ann: Account, kind: str
) -> None:
    thing = await things.add(kind, ann)

    answer = await write(client, thing, "PUT", '"stale"', nonsense=1)

    assert_problem(answer, 400, "VALIDATION_ERROR")


@each
@pytest.mark.parametrize("tag", ['"stale"', "*"], ids=["stale", "any"])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_what_is_not_there_is_not_found_whatever_its_state_should_be(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, ann: Account, kind: str, method: str, tag: str
) -> None:
    thing, root = await things.add(kind, ann), await accounts.signed_in("root", role="admin")
    await client.delete(thing.path, headers=root.headers)

    assert_problem(await write(client, thing, method, tag, by=root), 404, "NOT_FOUND")


@each
@pytest.mark.parametrize("tag", ['"stale"', "*"], ids=["stale", "any"])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_what_is_anothers_is_forbidden_whatever_its_state(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, ann: Account, kind: str, method: str, tag: str
) -> None:
    thing, bob = await things.add(kind, ann), await accounts.signed_in("bob")

    assert_problem(await write(client, thing, method, tag, by=bob), 403, "FORBIDDEN")


async def test_what_only_admins_may_set_is_forbidden_whatever_the_state(
    client: httpx.AsyncClient, things: Things, ann: Account
) -> None:
    thing = await things.add("user", ann)

    assert_problem(await write(client, thing, "PATCH", '"stale"', role="admin"), 403, "FORBIDDEN")


@pytest.mark.parametrize("changes", [{"username": "bob"}, {"email": "bob@example.com"}], ids=["username", "email"])
async def test_a_stale_state_comes_before_a_name_that_is_taken(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, ann: Account, changes: dict[str, Any]
) -> None:
    thing, _ = await things.add("user", ann), await accounts.add("bob")

    assert_problem(await write(client, thing, "PATCH", '"stale"', **changes), 412, "PRECONDITION_FAILED")
    taken = await write(client, thing, "PATCH", await tag_of(client, thing), **changes)
    assert taken.status_code == 409


@alike
async def test_a_stale_state_comes_before_the_last_admin(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, database: asyncpg.Connection, method: str
) -> None:
    thing = await things.add("user", await accounts.signed_in("root", role="admin"))

    assert_problem(await write(client, thing, method, '"stale"', role="user"), 412, "PRECONDITION_FAILED")
    last = await write(client, thing, method, await tag_of(client, thing), role="user")
    assert_problem(last, 409, "LAST_ADMIN")
    assert await database.fetchval("SELECT count(*) FROM users WHERE role = 'admin'") == 1


async def test_a_name_that_was_taken_leaves_the_tag_good(
    client: httpx.AsyncClient, things: Things, accounts: Accounts, ann: Account
) -> None:
    thing, _ = await things.add("user", ann), await accounts.add("bob")
    etag = await tag_of(client, thing)
    await write(client, thing, "PATCH", etag, username="bob")

    assert (await write(client, thing, "PATCH", etag, username="anne")).status_code == 200
