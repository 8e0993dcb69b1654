"""Posts and comments, by SQL as an operator may write it, and the lists that they and accounts are in."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
from tests.support.accounts import Account, Accounts

Document = dict[str, Any]
KINDS = ("users", "posts", "posts of a user", "comments")
"""The four lists."""


class Writings:
    """Rows of posts and comments."""

    def __init__(self, database: asyncpg.Connection) -> None:
        self._database = database

    async def post(self, author: Account, title: str = "A title", body: str = "A body") -> str:
        """A post; returns its id."""
        statement = "INSERT INTO posts (author_id, title, body) VALUES ($1, $2, $3) RETURNING id"
        return str(await self._database.fetchval(statement, author.id, title, body))

    async def comment(self, post_id: str, author: Account, body: str = "A comment") -> int:
        """A comment on a post; returns its id."""
        statement = "INSERT INTO comments (post_id, author_id, body) VALUES ($1, $2, $3) RETURNING id"
        return int(await self._database.fetchval(statement, uuid.UUID(post_id), author.id, body))

    async def posts(self, author: Account, count: int, *, body: str = "A body") -> list[str]:
        """Posts titled 1, 2, …, each a second newer than the one before; returns their ids in this order."""
        rows = await self._database.fetch(
            "INSERT INTO posts (author_id, title, body, created_at)"
            " SELECT $1, n, $3, timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, $2::int) n"
            " RETURNING id, title",
            author.id,
            count,
            body,
        )
        return [str(row["id"]) for row in sorted(rows, key=lambda row: int(row["title"]))]

    async def comments(self, post_id: str, author: Account, count: int) -> list[int]:
        """Comments 1, 2, …, each a second newer than the one before; returns their ids in this order."""
        rows = await self._database.fetch(
            "INSERT INTO comments (post_id, author_id, body, created_at)"
            " SELECT $1, $2, n, timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, $3::int) n"
            " RETURNING id",
            uuid.UUID(post_id),
            author.id,
            count,
        )
        return sorted(row["id"] for row in rows)


@dataclass(frozen=True)
class Listed:
    """One list with some rows: where it is, the member that holds them, and their ids as they come by default.

    ``table`` is where its rows are, ``insert`` a statement that adds one with ``$1`` as its time.
    """

    path: str
    member: str
    headers: dict[str, str]
    ids: list[Any]
    table: str
    insert: str
    default_sort: str = "-created_at"
    sorts: tuple[str, ...] = field(default=("created_at", "-created_at"))

    async def get(self, client: httpx.AsyncClient, **query: Any) -> Document:
        """A part of the list."""
        answer = await self.ask(client, **query)
        assert answer.status_code == 200, answer.text
        document: Document = answer.json()
        return document

    async def ask(self, client: httpx.AsyncClient, **query: Any) -> httpx.Response:
        return await client.get(
            self.path, params={name: str(value) for name, value in query.items()}, headers=self.headers
        )

    async def shown(self, client: httpx.AsyncClient, **query: Any) -> list[Any]:
        """The ids that a part of the list shows."""
        return [row["id"] for row in (await self.get(client, **query))[self.member]]

    async def walk(self, client: httpx.AsyncClient, **query: Any) -> list[Any]:
        """The ids that the list shows to who follows its cursors from the beginning to the end."""
        return [row["id"] for row in await walk(client, self.path, self.headers, **query)]


async def walk(
    client: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None, **query: Any
) -> list[Document]:
    """All rows of a list, by its cursors."""
    rows: list[Document] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {name: str(value) for name, value in query.items()} | {"cursor": cursor}
        answer = await client.get(path, params=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        document = answer.json()
        [found] = [value for value in document.values() if isinstance(value, list)]
        rows += found
        cursor = document["next_cursor"]
        assert cursor is None or found, "a part without rows that is not the last one"
    return rows


class Lists:
    """Makes lists of each kind."""

    def __init__(self, accounts: Accounts, database: asyncpg.Connection) -> None:
        self._accounts = accounts
        self._database = database
        self._writings = Writings(database)

    async def make(self, kind: str, count: int) -> Listed:
        """A list of so many rows, a second apart. Its caller, "lister", is the oldest row where users are listed."""
        listed = await self._make(kind, count)
        if count > 1000:
            await self._database.execute(f"ANALYZE {listed.table}")  # as autovacuum does, soon
        return listed

    async def _make(self, kind: str, count: int) -> Listed:
        lister = await self._accounts.signed_in("lister")
        if kind == "users":
            return await self._users(lister, count)
        if kind == "comments":
            return await self._comments(lister, count)
        ids = await self._writings.posts(lister, count)
        path = "/api/posts/" if kind == "posts" else f"/api/users/{lister.id}/posts/"
        insert = f"INSERT INTO posts (author_id, title, body, created_at) VALUES ({lister.id}, 'new', 'new', $1)"
        return Listed(path, "posts", {}, ids[::-1], "posts", insert)

    async def _users(self, lister: Account, count: int) -> Listed:
        await self._database.execute("UPDATE users SET created_at = '2026-01-01'")
        added = await self._database.fetch(
            "INSERT INTO users (username, email, password_hash, created_at)"
            " SELECT 'u' || n, 'u' || n || '@example.com', 'x', timestamptz '2026-01-01' + n * interval '1 second'"
            " FROM generate_series(1, $1::int) n RETURNING id",
            count - 1,
        )
        ids = [*sorted((row["id"] for row in added), reverse=True), lister.id]
        insert = (
            "INSERT INTO users (username, email, password_hash, created_at)"
            " SELECT 'new' || n, 'new' || n || '@example.com', 'x', $1 FROM (SELECT max(id) AS n FROM users) AS c"
        )
        sorts = ("created_at", "-created_at", "username", "-username")
        return Listed("/api/users/", "users", lister.headers, ids, "users", insert, sorts=sorts)

    async def _comments(self, lister: Account, count: int) -> Listed:
        post_id = await self._writings.post(lister)
        ids = await self._writings.comments(post_id, lister, count)
        insert = (
            f"INSERT INTO comments (post_id, author_id, body, created_at) VALUES ('{post_id}', {lister.id}, 'new', $1)"
        )
        path = f"/api/posts/{post_id}/comments/"
        return Listed(path, "comments", {}, ids, "comments", insert, default_sort="created_at")
