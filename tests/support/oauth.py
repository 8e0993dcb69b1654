"""OAuth's form of a request for tokens, and of its refusal."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import asyncpg
import httpx
from tests.support.accounts import PASSWORD
from tests.support.attempts import FORM

PATH = "/api/auth/token"
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 §5.2


def assert_refused(answer: httpx.Response, code: str) -> None:
    """Check an error of RFC 6749 §5.2."""
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert document.keys() == {"error", "error_description"}
    assert document["error"] == code
    assert DESCRIPTION.fullmatch(document["error_description"])


async def post(client: httpx.AsyncClient, body: str | bytes, content_type: str = FORM, **more: Any) -> httpx.Response:
    """Send a body as it is."""
    headers = {"Content-Type": content_type} | more.pop("headers", {})
    return await client.post(more.pop("path", PATH), content=body, headers=headers, **more)


def good(**more: str) -> str:
    """A form that gets ann tokens."""
    return urlencode({"grant_type": "password", "username": "ann", "password": PASSWORD} | more)


async def sessions(database: asyncpg.Connection) -> int:
    count: int = await database.fetchval("SELECT count(*) FROM sessions")
    return count
