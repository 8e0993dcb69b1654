"""Cursors: what one is good for, and that nobody else can make one."""

from __future__ import annotations

import base64
import string

import asyncpg
import httpx
import pytest
from tests.conftest import SECRET
from tests.support.accounts import Accounts
from tests.support.instances import Serve
from tests.support.problems import assert_problem
from tests.support.writings import KINDS, Listed, Lists, Writings

EACH_LIST = pytest.mark.parametrize("kind", KINDS)
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
OTHER_SECRET = "zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVU"


def assert_refused(answer: httpx.Response) -> None:
    document = assert_problem(answer, 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in document["errors"]] == ["?cursor"]


async def cursor_of(client: httpx.AsyncClient, listed: Listed, **query: object) -> str:
    """The cursor behind the first row."""
    cursor = (await listed.get(client, **{"per_page": 1, "cursor": "", **query}))["next_cursor"]
    assert isinstance(cursor, str)
    return cursor


@EACH_LIST
async def test_a_cursor_goes_on_where_it_was_given(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 5)

    first = await listed.get(client, cursor="", per_page=2)
    second = await listed.get(client, cursor=first["next_cursor"], per_page=2)
    third = await listed.get(client, cursor=second["next_cursor"], per_page=2)

    parts = [[row["id"] for row in part.pop(listed.member)] for part in (first, second, third)]
    assert parts == [listed.ids[:2], listed.ids[2:4], listed.ids[4:]]
    assert first.keys() == second.keys() == {"per_page", "next_cursor"}
    assert third == {"per_page": 2, "next_cursor": None}


@EACH_LIST
async def test_a_page_gives_the_same_cursor(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 5)

    page = await listed.get(client, page=2, per_page=2)

    assert await listed.shown(client, cursor=page["next_cursor"], per_page=2) == listed.ids[4:]


@EACH_LIST
async def test_parts_of_a_walk_may_differ_in_size(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 6)

    cursor = await cursor_of(client, listed)

    assert await listed.shown(client, cursor=cursor, per_page=1000) == listed.ids[1:]


@EACH_LIST
async def test_a_cursor_is_safe_in_an_url(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    cursor = await cursor_of(client, await lists.make(kind, 2))

    assert set(cursor) <= set(ALPHABET)


@EACH_LIST
async def test_no_character_of_a_cursor_can_be_changed(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 2)
    cursor = await cursor_of(client, listed)

    for place, character in enumerate(cursor):
        other = ALPHABET[(ALPHABET.index(character) + 1) % 64]
        assert_refused(await listed.ask(client, cursor=cursor[:place] + other + cursor[place + 1 :]))


@pytest.fixture
async def listed(client: httpx.AsyncClient, lists: Lists) -> Listed:
    """A list of two posts."""
    return await lists.make("posts", 2)


async def test_a_cursor_can_be_neither_cut_nor_prolonged(client: httpx.AsyncClient, listed: Listed) -> None:
    cursor = await cursor_of(client, listed)

    for length in range(1, len(cursor)):
        assert_refused(await listed.ask(client, cursor=cursor[:length]))
    for more in ("A", "AA", "AAA", "AAAA", "=", "==", "===", " ", "\n", ".", cursor, "\u00e9", "\U0001f98a"):
        assert_refused(await listed.ask(client, cursor=cursor + more))
        assert_refused(await listed.ask(client, cursor=more + cursor))


@pytest.mark.parametrize("length", range(8), ids=str)
async def test_the_same_bytes_in_other_spellings_are_no_cursor(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, length: int
) -> None:
    # Names of all lengths, so that base64 leaves over two bits, four, and none.
    ann = await accounts.signed_in("a" * (3 + length))
    await accounts.add("b" * 80)
    listed = Listed("/api/users/", "users", ann.headers, [], "users", "")
    cursor = await cursor_of(client, listed, sort="username")
    packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))

    spellings = [cursor[:-1] + last for last in ALPHABET]
    same = [other for other in spellings if base64.urlsafe_b64decode(other + "=" * (-len(other) % 4)) == packed]
    others = [other for other in same if other != cursor]
    others += [base64.b64encode(packed).decode()] if base64.b64encode(packed).decode() != cursor else []
    others += [cursor + "=" * (-len(cursor) % 4)] if len(cursor) % 4 else []
    others += [f"{cursor[:4]}\n{cursor[4:]}", f"{cursor[:4]}={cursor[4:]}", f"{cursor[:4]} {cursor[4:]}"]

    for other in others:
        assert_refused(await listed.ask(client, cursor=other, sort="username"))
    assert (await listed.ask(client, cursor=cursor, sort="username")).status_code == 200


@pytest.mark.parametrize("cursor", ["A", "AAAA", "null", "0", "=", "*", "%", "-", "A" * 2000, "e30", "W10"])
async def test_what_was_never_given_is_no_cursor(client: httpx.AsyncClient, listed: Listed, cursor: str) -> None:
    assert_refused(await listed.ask(client, cursor=cursor))


@EACH_LIST
async def test_a_cursor_belongs_to_its_sort(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 3)

    for sort in listed.sorts:
        cursor = await cursor_of(client, listed, sort=sort)
        for other in (*listed.sorts, None):
            answer = await listed.ask(client, cursor=cursor, **({"sort": other} if other else {}))
            if (other or listed.default_sort) == sort:
                assert answer.status_code == 200
            else:
                assert_refused(answer)


@pytest.mark.parametrize(
    ("path", "query", "others"),
    [
        (
            "/api/users/",
            {"is_active": "true"},
            [{}, {"is_active": "false"}, {"is_active": "true", "search": "a"}, {"search": "true"}],
        ),
        ("/api/users/", {"search": "ann"}, [{}, {"search": "an"}, {"search": "ANN"}, {"search": "annn"}]),
        ("/api/users/", {}, [{"search": "ann"}, {"is_active": "true"}]),
        ("/api/posts/", {"search": "fox"}, [{}, {"search": "foxes"}, {"search": "fox", "author_id": "1"}]),
        ("/api/posts/", {"author_id": "1"}, [{}, {"author_id": "2"}, {"author_id": "1", "search": "fox"}]),
        ("/api/posts/", {}, [{"search": "fox"}, {"author_id": "1"}]),
        ("/api/users/1/posts/", {"search": "fox"}, [{}, {"search": "foxes"}]),
    ],
    ids=str,
)
async def test_a_cursor_belongs_to_its_filters_and_search(
    client: httpx.AsyncClient,
    accounts: Accounts,
    writings: Writings,
    path: str,
    query: dict[str, str],
    others: list[dict[str, str]],
) -> None:
    ann = await accounts.signed_in("ann")
    for name in ("anna", "annn"):
        await accounts.add(name)
    await writings.posts(ann, 3, body="A fox")
    listed = Listed(path, "", ann.headers, [], "", "")
    cursor = await cursor_of(client, listed, **query)

    for other in others:
        assert_refused(await listed.ask(client, cursor=cursor, **other))
    assert (await listed.ask(client, cursor=cursor, **query)).status_code == 200


@pytest.fixture
async def paths(accounts: Accounts, writings: Writings) -> tuple[dict[str, str], list[str]]:
    """All kinds of lists, and two of each whose rows belong to something, with more than one row each."""
    ann, bob = await accounts.signed_in("ann"), await accounts.add("bob")
    found = ["/api/users/", "/api/posts/"]
    for author in (ann, bob):
        post_id = (await writings.posts(author, 2))[0]
        await writings.comments(post_id, ann, 2)
        found += [f"/api/users/{author.id}/posts/", f"/api/posts/{post_id}/comments/"]
    return ann.headers, found


async def test_a_cursor_belongs_to_its_list_and_its_parent(
    client: httpx.AsyncClient, paths: tuple[dict[str, str], list[str]]
) -> None:
    headers, found = paths
    for path in found:
        given = await client.get(path, params={"cursor": "", "per_page": 1, "sort": "created_at"}, headers=headers)
        cursor = given.json()["next_cursor"]
        for other in found:
            answer = await client.get(other, params={"cursor": cursor, "sort": "created_at"}, headers=headers)
            if path == other:
                assert answer.status_code == 200
            else:
                assert_refused(answer)


async def test_a_cursor_serves_both_spellings_of_a_list_and_of_its_parent(
    client: httpx.AsyncClient, lists: Lists
) -> None:
    listed = await lists.make("comments", 2)
    cursor = await cursor_of(client, listed)
    post_id = listed.path.split("/")[3]

    for path in (listed.path.removesuffix("/"), listed.path.replace(post_id, post_id.upper())):
        answer = await client.get(path, params={"cursor": cursor})
        assert [comment["id"] for comment in answer.json()["comments"]] == listed.ids[1:]


async def test_a_cursor_serves_every_caller(client: httpx.AsyncClient, accounts: Accounts, lists: Lists) -> None:
    listed = await lists.make("users", 3)
    cursor = await cursor_of(client, listed)
    root = await accounts.signed_in("root", role="admin")

    assert (await client.get(listed.path, params={"cursor": cursor}, headers=root.headers)).status_code == 200


async def test_a_cursor_of_another_secret_is_refused(client: httpx.AsyncClient, serve: Serve, listed: Listed) -> None:
    cursor = await cursor_of(client, listed)

    async with serve(secret_key=OTHER_SECRET) as other:
        assert_refused(await listed.ask(other.client, cursor=cursor))


async def test_a_cursor_of_a_former_secret_is_accepted(client: httpx.AsyncClient, serve: Serve, listed: Listed) -> None:
    cursor = await cursor_of(client, listed)

    async with serve(secret_key=OTHER_SECRET, secret_key_fallbacks=SECRET) as other:
        assert await listed.shown(other.client, cursor=cursor) == listed.ids[1:]
        todays = await cursor_of(other.client, listed)
    assert_refused(await listed.ask(client, cursor=todays))


async def test_a_cursor_of_another_process_is_accepted(client: httpx.AsyncClient, serve: Serve, listed: Listed) -> None:
    cursor = await cursor_of(client, listed)

    async with serve() as other:
        assert await listed.shown(other.client, cursor=cursor) == listed.ids[1:]
