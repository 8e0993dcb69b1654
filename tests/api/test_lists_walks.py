"""Going through lists from the beginning to the end, while others write."""

from __future__ import annotations

import datetime
import random
from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.writings import KINDS, Listed, Lists, walk

EACH_LIST = pytest.mark.parametrize("kind", KINDS)
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@EACH_LIST
async def test_a_walk_shows_every_row_once_in_every_order(client: httpx.AsyncClient, lists: Lists, kind: str) -> None:
    listed = await lists.make(kind, 23)

    walks = {sort: await listed.walk(client, sort=sort, per_page=5) for sort in listed.sorts}

    assert walks[listed.default_sort] == listed.ids
    for sort, ids in walks.items():
        assert sorted(map(str, ids)) == sorted(map(str, listed.ids))
        assert ids == walks[sort[1:] if sort.startswith("-") else f"-{sort}"][::-1]


@EACH_LIST
async def test_rows_of_one_time_have_an_order_both_ways(
    client: httpx.AsyncClient, lists: Lists, database: asyncpg.Connection, kind: str
) -> None:
    listed = await lists.make(kind, 12)
    await database.execute(f"UPDATE {listed.table} SET created_at = $1", START)

    for size in (1, 5, 11, 12):
        assert await listed.walk(client, sort="created_at", per_page=size) == sorted(listed.ids)
        assert await listed.walk(client, sort="-created_at", per_page=size) == sorted(listed.ids)[::-1]
    pages = [await listed.shown(client, sort="created_at", per_page=5, page=number) for number in (1, 2, 3)]
    assert [row for page in pages for row in page] == sorted(listed.ids)


@EACH_LIST
async def test_times_that_differ_by_a_microsecond_are_different(
    client: httpx.AsyncClient, lists: Lists, database: asyncpg.Connection, kind: str
) -> None:
    listed = await lists.make(kind, 9)
    # Against the order of ids.
    for place, row_id in enumerate(sorted(listed.ids)):
        moved = START - datetime.timedelta(microseconds=place)
        await database.execute(f"UPDATE {listed.table} SET created_at = $1 WHERE id = $2", moved, row_id)

    assert await listed.walk(client, sort="-created_at", per_page=1) == sorted(listed.ids)
    assert await listed.walk(client, sort="created_at", per_page=2) == sorted(listed.ids)[::-1]


@EACH_LIST
@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
async def test_a_walk_among_writers_shows_once_what_was_there_all_the_time(
    client: httpx.AsyncClient, lists: Lists, database: asyncpg.Connection, kind: str, sort: str
) -> None:
    listed = await lists.make(kind, 40)
    dice = random.Random(4711)
    removable, removed = [row for row in listed.ids if row != listed.ids[-1] or kind != "users"], set()
    shown: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        part = await listed.get(client, cursor=cursor, per_page=4, sort=sort)
        cursor, shown = part["next_cursor"], shown + [row["id"] for row in part[listed.member]]
        # The row that the cursor stands on, one that is still to come or is shown already, and new ones everywhere.
        for row in {shown[-1], dice.choice(removable)} & set(removable):
            removable.remove(row)
            removed.add(row)
            await database.execute(f"DELETE FROM {listed.table} WHERE id = $1", row)
        for _ in range(3):
            moment = START + datetime.timedelta(seconds=dice.uniform(-5, 45))
            await database.execute(listed.insert, moment)

    stayed = [row for row in listed.ids if row not in removed]
    assert len(shown) == len(set(shown))
    assert [row for row in shown if row in stayed] == (stayed if sort == listed.default_sort else stayed[::-1])


async def test_names_whose_folded_form_is_very_long_are_walked_through(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    names = ["\ufdfa" * length for length in (*range(3, 15), 79, 80)]
    await add(database, names)

    for sort in ("username", "-username"):
        rows = await walk(client, "/api/users/", ann.headers, sort=sort, per_page=7)
        assert sorted(row["username"] for row in rows) == sorted(["ann", *names])
    # Each is the beginning of the next until the key's 80 characters are full; then the oldest id comes first.
    rows = await walk(client, "/api/users/", ann.headers, sort="username", per_page=1)
    assert [row["username"] for row in rows] == ["ann", *names]


@pytest.mark.parametrize("beginning", ["a" * 79, "\U00020000" * 79, "\ufdfa" * 79], ids=["ASCII", "astral", "growing"])
async def test_cursors_of_the_longest_names_are_short_enough(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, beginning: str
) -> None:
    ann = await accounts.signed_in("ann")
    names = [beginning + last for last in "bcd"]
    await add(database, names)
    listed = Listed("/api/users/", "users", ann.headers, [], "users", "")

    cursors = [
        (await listed.get(client, sort="-username", page=number, per_page=1))["next_cursor"] for number in (1, 2)
    ]

    assert max(map(len, cursors)) < 2000
    rows = await walk(client, "/api/users/", ann.headers, sort="-username", per_page=1)
    assert {row["username"] for row in rows} == {"ann", *names}
    assert len(rows) == 4


async def test_names_that_are_equal_up_to_the_80th_character_are_walked_through(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    ann = await accounts.signed_in("ann")
    names = ["\ufdfa" * 10 + tail for tail in ("c", "a", "b", "d-d", "_")]
    ids = await add(database, names)

    rows = [await walk(client, "/api/users/", ann.headers, sort=sort, per_page=1) for sort in ("username", "-username")]

    assert [row["id"] for row in rows[0]] == [ann.id, *ids]
    assert rows[1] == rows[0][::-1]


async def add(database: asyncpg.Connection, names: list[str]) -> list[int]:
    rows = await database.fetch(
        "INSERT INTO users (username, email, password_hash)"
        " SELECT name, n || '@example.com', 'x' FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n) ORDER BY n"
        " RETURNING id",
        names,
    )
    return [row["id"] for row in rows]
