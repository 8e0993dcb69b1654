"""Matches among the first rows of the order, behind them, and both (SCANNED_ROWS in service/repositories/lists.py)."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest
from tests.support.accounts import Accounts
from tests.support.writings import walk


async def scatter(database: asyncpg.Connection, accounts: Accounts, rows: int, *old: int) -> list[str]:
    """Posts of two authors in turn, number 1 the newest, of which some are about foxes; returns these, newest first."""
    authors = [(await accounts.add(name)).id for name in ("ann", "bob")]
    await database.execute(
        "INSERT INTO posts (author_id, title, body, created_at) SELECT ($1::bigint[])[1 + n % 2], n,"
        " CASE WHEN n = ANY($3::int[]) THEN 'foxes' ELSE 'geese' END,"
        " timestamptz '2026-01-01' - n / 3 * interval '1 second' FROM generate_series(1, $2::int) n",
        authors,
        rows,
        list(old),
    )
    foxes = await database.fetch("SELECT id FROM posts WHERE body = 'foxes' ORDER BY created_at DESC, id DESC")
    return [str(row["id"]) for row in foxes]


@pytest.mark.parametrize(
    "places",
    [
        (2500,),
        (2000,),
        (2001,),
        (1, 2500),
        (1, 2, 3, 1999, 2000, 2001, 2002, 2012, 2013, 2499, 2500),
        tuple(range(1, 2601, 100)),
        (*range(1, 601), 2450, 2500),
        tuple(range(2400, 2501)),
        (),
    ],
    ids=["far", "at the edge", "behind the edge", "both", "around the edge", "everywhere", "often", "many far", "none"],
)
async def test_matches_near_and_far_are_found_counted_and_in_order(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, places: tuple[int, ...]
) -> None:
    foxes = await scatter(database, accounts, 2600, *places)

    for sort, wanted in (("-created_at", foxes), ("created_at", foxes[::-1])):
        query: dict[str, Any] = {"search": "fox", "sort": sort}
        size = 3 if len(wanted) < 20 else 40
        walked = await walk(client, "/api/posts/", per_page=size, **query)
        assert [post["id"] for post in walked] == wanted
        for number in (1, 2, 3, 5):
            answer = await client.get("/api/posts/", params=query | {"page": str(number), "per_page": str(size)})
            page = answer.json()
            assert [post["id"] for post in page["posts"]] == wanted[(number - 1) * size : number * size]
            assert page["total"] == len(wanted)
            assert (page["next_cursor"] is None) == (number * size >= len(wanted))


async def test_far_matches_of_an_author_are_found(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    await scatter(database, accounts, 4300, 1, 2, 4200, 4201, 4299, 4300)
    bob = await database.fetchval("SELECT id FROM users WHERE username = 'bob'")
    rows = "SELECT id FROM posts WHERE body = 'foxes' AND author_id = $1 ORDER BY created_at DESC, id DESC"
    wanted = [str(row["id"]) for row in await database.fetch(rows, bob)]
    assert len(wanted) == 3

    for path in (f"/api/posts/?author_id={bob}&search=fox", f"/api/users/{bob}/posts/?search=fox"):
        document = (await client.get(path)).json()
        assert ([post["id"] for post in document["posts"]], document["total"]) == (wanted, 3)
        pages = [(await client.get(f"{path}&page={number}&per_page=2")).json() for number in (1, 2)]
        assert [post["id"] for page in pages for post in page["posts"]] == wanted


async def test_far_names_are_found_counted_and_in_order(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection
) -> None:
    caller = await accounts.signed_in("caller")
    await database.execute(
        "INSERT INTO users (username, email, password_hash, created_at)"
        " SELECT CASE WHEN n IN (1, 5, 1998, 2003, 2500) THEN 'fox' || n ELSE 'goose' || n END,"
        " n || '@example.com', 'x', timestamptz '2026-01-01' - n * interval '1 second' FROM generate_series(1, 2500) n"
    )

    for search in ("fo", "fox", "ox25", "goos", "se2499"):
        for sort, order in (("-created_at", "created_at DESC, id DESC"), ("username", 'username COLLATE "C"')):
            test = "starts_with(username, $1)" if len(search) < 3 else "strpos(username, $1) > 0"
            rows = await database.fetch(f"SELECT id FROM users WHERE {test} ORDER BY {order}", search)
            wanted = [row["id"] for row in rows]
            query: dict[str, Any] = {"search": search, "sort": sort, "per_page": "2", "page": "2"}
            page = (await client.get("/api/users/", params=query, headers=caller.headers)).json()
            assert ([user["id"] for user in page["users"]], page["total"]) == (wanted[2:4], len(wanted))
            walked = await walk(client, "/api/users/", caller.headers, search=search, sort=sort, per_page=100)
            assert [user["id"] for user in walked] == wanted
