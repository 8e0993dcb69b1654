"""What has an entity tag, and can be asked to be made once: users, posts and comments, made as a test needs them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
from tests.support.accounts import Account, Accounts

PASSWORD = "8 signs."
KINDS = ("user", "post", "comment")
TABLES = {"user": "users", "post": "posts", "comment": "comments"}


@dataclass(frozen=True)
class Thing:
    """One user, post or comment, with the account that it belongs to."""

    kind: str
    id: Any
    path: str
    owner: Account

    def changes(self, text: str = "changed") -> dict[str, str]:
        """A body for PUT and PATCH."""
        return {{"user": "username", "post": "title", "comment": "body"}[self.kind]: text}


@dataclass(frozen=True)
class Making:
    """A request that makes one: its path, and a body for each text."""

    kind: str
    path: str
    owner: Account | None

    @property
    def table(self) -> str:
        return TABLES[self.kind]

    @property
    def headers(self) -> dict[str, str]:
        return self.owner.headers if self.owner else {}

    def body(self, text: str = "something") -> dict[str, str]:
        if self.kind == "user":
            return {"username": text, "email": f"{text}@example.com", "password": PASSWORD}
        return {"title": text, "body": text} if self.kind == "post" else {"body": text}


class Things:
    """Makes them, over HTTP where one is enough and by SQL where they are many."""

    def __init__(self, client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection) -> None:
        self._client, self._accounts, self._database = client, accounts, database

    async def add(self, kind: str, owner: Account) -> Thing:
        """A thing of this account's; a comment is on a post of its own."""
        if kind == "user":
            return Thing(kind, owner.id, f"/api/users/{owner.id}", owner)
        making = await self.making(kind, owner)
        made = await self._client.post(making.path, json=making.body(), headers=owner.headers)
        assert made.status_code == 201, made.text
        return Thing(kind, made.json()["id"], made.headers["location"], owner)

    async def making(self, kind: str, owner: Account) -> Making:
        """A request that has not been made yet; anonymous when it makes a user."""
        if kind == "user":
            return Making(kind, "/api/users/", None)
        path = "/api/posts/"
        return Making(kind, path if kind == "post" else f"{path}{await self.post(owner)}/comments/", owner)

    async def post(self, owner: Account, *, comments: int = 0, by: Account | None = None) -> uuid.UUID:
        """A post with so many comments of somebody's."""
        (post_id,) = await self.posts(owner, 1)
        await self.comments(post_id, by or owner, comments)
        return post_id

    async def posts(self, owner: Account, count: int, text: str = "zebra") -> list[uuid.UUID]:
        """So many posts with this title."""
        statement = "INSERT INTO posts (author_id, title, body) SELECT $1, $3, 'b' FROM generate_series(1, $2)"
        return [row["id"] for row in await self._database.fetch(statement + " RETURNING id", owner.id, count, text)]

    async def comments(self, post_id: uuid.UUID, by: Account, count: int) -> list[int]:
        """So many comments on a post."""
        statement = "INSERT INTO comments (post_id, author_id, body) SELECT $1, $2, 'c' FROM generate_series(1, $3)"
        return [row["id"] for row in await self._database.fetch(statement + " RETURNING id", post_id, by.id, count)]

    async def count(self, kind: str) -> int:
        """How many rows there are of a kind, hidden ones included."""
        count: int = await self._database.fetchval(f"SELECT count(*) FROM {TABLES[kind]}")
        return count

    async def row(self, thing: Thing) -> dict[str, Any] | None:
        """The stored row."""
        found = await self._database.fetchrow(f"SELECT * FROM {TABLES[thing.kind]} WHERE id = $1", thing.id)
        return dict(found) if found else None
