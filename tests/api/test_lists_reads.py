"""What a search reads is bounded, wherever its matches are (ADR 9). Its bounds are smaller here, as the table is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from service.context import Context
from service.repositories import lists, posts, users
from tests.support.accounts import Account, Accounts
from tests.support.statements import rows_read, statements_of

ROWS = 6000
SCANNED, FOUND, FARTHER, COUNTED = 40, 400, 3, 200
PER_PAGE = 5


@pytest.fixture(autouse=True)
def smaller(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    built = [users._LIST._built, posts._LIST._built, posts._LIST_OF_AUTHOR._built]
    for name, value in (
        ("SCANNED_ROWS", SCANNED),
        ("FOUND_ROWS", FOUND),
        ("FARTHER", FARTHER),
        ("COUNTED_ROWS", COUNTED),
    ):
        monkeypatch.setattr(lists, name, value)
    for statements in built:
        statements.clear()
    yield
    for statements in built:
        statements.clear()


@pytest.fixture
async def ann(accounts: Accounts) -> Account:
    return await accounts.signed_in("ann")


async def posts_about(database: asyncpg.Connection, ann: Account, word: str, condition: str) -> None:
    """Write posts, number 1 the newest, of which those are about something else for which this is true."""
    await database.execute(
        f"INSERT INTO posts (author_id, title, body, created_at) SELECT $1, n,"
        f" CASE WHEN {condition} THEN '{word}' ELSE 'geese' END, timestamptz '2026-01-01' - n * interval '1 second'"
        f" FROM generate_series(1, {ROWS}) n",
        ann.id,
    )
    await database.execute("ANALYZE posts")


async def accounts_named(database: asyncpg.Connection, condition: str) -> None:
    """Make accounts, number 1 the newest, in another order by name; those are foxes for which this is true."""
    await database.execute(
        "INSERT INTO users (username, email, password_hash, created_at)"
        f" SELECT md5(n::text) || CASE WHEN {condition} THEN 'fox' ELSE 'bear' END, n || '@example.com', 'none',"
        f" timestamptz '2026-01-01' - n * interval '1 second' FROM generate_series(1, {ROWS}) n"
    )
    await database.execute("ANALYZE users")


async def reads(
    client: httpx.AsyncClient, context: Context, database: asyncpg.Connection, path: str, by: Account, **query: Any
) -> list[float]:
    """Ask for a part of a list; return what its statement, and its count, read."""
    with statements_of(context) as seen:
        answer = await client.get(path, params=query, headers=by.headers)
    assert answer.status_code == 200, answer.text
    await database.execute("SET enable_seqscan = off; SET jit = off")  # so small a table would be read as a whole
    of_lists = [one for one in seen if "search" in one[0] or "trigrams" in one[0] or "strpos" in one[0]]
    return [await rows_read(database, *one) for one in of_lists]


MANY = 1000
PLACES = {
    "everywhere": "true",
    "nowhere": "false",
    "only new": "n <= 30",  # the sample says that it is often
    "not new": "n > 200",
    "often, but not new": "n > 200 AND n % 8 = 0",
    "seldom": "n % 1000 = 999",
    "old": f"n > {ROWS - 20}",
    "old, and many": f"n > {ROWS - MANY}",
}
each = pytest.mark.parametrize("condition", PLACES.values(), ids=PLACES.keys())


def bound(page: int) -> int:
    """Return how many rows are read at most: near, the first that the index finds, farther, and many that it finds."""
    near = SCANNED + lists.OFTEN * PER_PAGE * page
    return 2 * near + FOUND + 2 * FARTHER * near + MANY + 100


@each
@pytest.mark.parametrize("page", [1, 4])
async def test_a_search_for_posts(
    client: httpx.AsyncClient, context: Context, database: asyncpg.Connection, ann: Account, condition: str, page: int
) -> None:
    await posts_about(database, ann, "foxes", condition)

    part, count = await reads(client, context, database, "/api/posts/", ann, search="fox", page=page, per_page=PER_PAGE)

    assert part <= bound(page)
    assert count <= SCANNED + COUNTED * lists.OFTEN + COUNTED


@each
async def test_a_search_for_names(
    client: httpx.AsyncClient, context: Context, database: asyncpg.Connection, ann: Account, condition: str
) -> None:
    await accounts_named(database, condition)

    part, count = await reads(client, context, database, "/api/users/", ann, search="fox", page=1, per_page=PER_PAGE)

    assert part <= bound(page=1)
    assert count <= SCANNED + COUNTED * lists.OFTEN + COUNTED


async def test_a_search_for_posts_of_somebody_who_writes_about_something_else(
    client: httpx.AsyncClient, context: Context, database: asyncpg.Connection, ann: Account, accounts: Accounts
) -> None:
    bob = await accounts.add("bob")
    await posts_about(database, ann, "foxes", "n % 2 = 0")
    await database.execute("UPDATE posts SET author_id = $1 WHERE body = 'geese'", bob.id)

    for path, query in (("/api/posts/", {"author_id": bob.id}), (f"/api/users/{bob.id}/posts/", {})):
        part, count = await reads(client, context, database, path, ann, search="fox", per_page=PER_PAGE, **query)

        assert part <= 2 * (SCANNED + lists.OFTEN * PER_PAGE) + 100
        assert count <= SCANNED + 100


async def test_behind_what_is_counted_a_search_has_empty_pages(
    client: httpx.AsyncClient, database: asyncpg.Connection, ann: Account
) -> None:
    """To find their place takes all matches; a cursor has none to find."""
    await posts_about(database, ann, "foxes", "true")
    query: dict[str, Any] = {"search": "fox", "per_page": 50}

    pages = [(await client.get("/api/posts/", params=query | {"page": page})).json() for page in (4, 5)]

    assert [len(page["posts"]) for page in pages] == [50, 0]
    assert [(page["total"], page["total_capped"], page["pages"]) for page in pages] == [(COUNTED, True, 4)] * 2
    after = await client.get("/api/posts/", params=query | {"cursor": pages[0]["next_cursor"]})
    assert len(after.json()["posts"]) == 50
