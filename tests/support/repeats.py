"""Requests that carry an `Idempotency-Key`."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
from tests.support.things import Making

KEY = "0123456789abcdef"


async def send(
    client: httpx.AsyncClient, making: Making, body: Any = None, *, key: str = KEY, **headers: str
) -> httpx.Response:
    """Make it, under a key; the body is the making's own unless another is given."""
    return await client.post(
        making.path,
        json=making.body() if body is None else body,
        headers={**making.headers, "Idempotency-Key": key, **headers},
    )


def is_replayed(answer: httpx.Response) -> bool:
    """Whether the answer says that it has been given before."""
    told = answer.headers.get("idempotency-replayed")
    assert told in (None, "true")
    return bool(told == "true")


def assert_same(first: httpx.Response, again: httpx.Response) -> None:
    """Check that the second is the first one, given again."""
    assert (first.status_code, is_replayed(first)) == (201, False), first.text
    assert (again.status_code, is_replayed(again)) == (201, True), again.text
    assert again.content == first.content
    for name in ("location", "etag", "content-type", "cache-control", "vary"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


async def held_keys(database: asyncpg.Connection) -> list[int]:
    """The advisory locks that somebody holds at the moment, as their keys."""
    rows = await database.fetch(
        "SELECT (classid::bigint << 32 | objid::bigint) AS key FROM pg_locks"
        " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return [row["key"] for row in rows]
