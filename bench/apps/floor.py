"""The floor: a bare ASGI function with asyncpg, PyJWT and orjson. No framework, no log, one statement where one does.

What it leaves out is what makes a service: it has a table of paths, and checks of its input that fit into a line each.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import asyncpg
import jwt
import orjson
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from bench.apps import tokens

POOL_SIZE = 10
COUNTED_ROWS = 10_000
POST_PATH = re.compile(r"/api/posts/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")

CALLER = """
    SELECT id, username, is_active, created_at, updated_at, email, role,
        EXISTS (SELECT FROM token_blocklist WHERE id = ANY($2::uuid[])) AS revoked
    FROM users WHERE id = $1
"""
USERS = """
    SELECT id, username, is_active, created_at, updated_at, email, role
    FROM users WHERE NOT is_removed ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2
"""
COUNT = f"SELECT count(*) FROM (SELECT FROM users WHERE NOT is_removed LIMIT {COUNTED_ROWS + 1}) AS counted"
POST = """
    SELECT posts.id, title, body, username AS author, author_id, posts.created_at, posts.updated_at
    FROM posts JOIN users ON users.id = author_id
    WHERE posts.id = $1 AND NOT posts.is_removed AND NOT users.is_removed
"""
NEW_POST = """
    INSERT INTO posts (author_id, title, body) VALUES ($1, $2, $3)
    RETURNING id, title, body, author_id, created_at, updated_at
"""
LOGIN = """
    SELECT id, username, is_active, created_at, updated_at, email, role, password_hash
    FROM users WHERE email_key = postern_fold($1)
"""
NEW_SESSION = """
    INSERT INTO sessions (
        id, user_id, refresh_jti, access_jti, kid, issued_at, access_expires_at, expires_at, ends_at, ip, user_agent
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""

Answer = tuple[int, Any]
hasher = PasswordHasher()


class Refused(Exception):
    """The status to answer."""

    def __init__(self, status: int) -> None:
        self.status = status


class Floor:
    """The application: a pool, and a function for each kind of work."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._routes: dict[tuple[str, str], Callable[[Any, Any], Awaitable[Answer]]] = {
            ("GET", "/api/auth/me"): self.me,
            ("GET", "/api/users/"): self.users,
            ("POST", "/api/posts/"): self.create_post,
            ("POST", "/api/auth/login"): self.log_in,
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request, or the server's start and end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            status, document = await self._route(scope, receive)
        except Refused as refusal:
            status, document = refusal.status, {"status": refusal.status}
        body = orjson.dumps(document, default=str, option=orjson.OPT_UTC_Z)  # asyncpg's UUID is a class of its own
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def me(self, scope: Any, _: Any) -> Answer:
        """Get one's own account."""
        return 200, await self._caller(scope)

    async def users(self, scope: Any, _: Any) -> Answer:
        """List the accounts, newest first."""
        caller = await self._caller(scope)
        query = parse_qs(scope["query_string"].decode())
        page, per_page = int(query.get("page", ["1"])[0]), min(int(query.get("per_page", ["20"])[0]), 100)
        found = await self._pool.fetch(USERS, per_page, (page - 1) * per_page)
        total = await self._pool.fetchval(COUNT)
        users = [dict(row) for row in found]
        if caller["role"] != "admin":
            for user in users:
                if user["id"] != caller["id"]:
                    del user["email"], user["role"]
        document = {"users": users, "per_page": per_page, "next_cursor": None, "current_page": page}
        if total > COUNTED_ROWS:
            total, document["total_capped"] = COUNTED_ROWS, True
        return 200, document | {"total": total, "pages": math.ceil(total / per_page)}

    async def post(self, post_id: str) -> Answer:
        """Get one post."""
        row = await self._pool.fetchrow(POST, uuid.UUID(post_id))
        if row is None:
            raise Refused(404)
        return 200, dict(row)

    async def create_post(self, scope: Any, receive: Any) -> Answer:
        """Write a post."""
        caller = await self._caller(scope)
        new = await _document(receive, {"title": 200, "body": 65_536})
        row = await self._pool.fetchrow(NEW_POST, caller["id"], new["title"], new["body"])
        return 201, dict(row) | {"author": caller["username"]}

    async def log_in(self, scope: Any, receive: Any) -> Answer:
        """Log in; a session begins."""
        login = await _document(receive, {"email": 480, "password": 4096})
        row = await self._pool.fetchrow(LOGIN, login["email"].strip())
        if row is None or not await asyncio.to_thread(_matches, row["password_hash"], login["password"]):
            raise Refused(401)
        if not row["is_active"]:
            raise Refused(403)
        user = dict(row)
        del user["password_hash"]
        agent = next((value.decode() for name, value in scope["headers"] if name == b"user-agent"), None)
        begun = tokens.begin(user["id"], scope["client"][0], agent)
        await self._pool.execute(NEW_SESSION, *begun.row.values())
        return 200, begun.answer | {"user": user}

    async def _route(self, scope: Any, receive: Any) -> Answer:
        route = self._routes.get((scope["method"], scope["path"]))
        if route is not None:
            return await route(scope, receive)
        found = POST_PATH.fullmatch(scope["path"])
        if found is None or scope["method"] != "GET":
            raise Refused(404)
        return await self.post(found[1])

    async def _caller(self, scope: Any) -> dict[str, Any]:
        """Return the account of the request's token."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, token = given.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise Refused(401)
        try:
            claims = tokens.read(token)
        except jwt.InvalidTokenError:
            raise Refused(401) from None
        row = await self._pool.fetchrow(CALLER, claims.user_id, claims.blocked_ids)
        if row is None or row["revoked"] or not row["is_active"]:
            raise Refused(401)
        caller = dict(row)
        del caller["revoked"]
        return caller

    async def _live(self, receive: Any, send: Any) -> None:
        """Have the pool for as long as the server is there; the collector leaves alone what is there before."""
        await receive()
        gc.collect()
        gc.freeze()
        gc.set_threshold(1_000, 20, 100)
        url = os.environ["DATABASE_URL"]
        async with asyncpg.create_pool(url, min_size=1, max_size=POOL_SIZE) as self._pool:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _document(receive: Any, limits: dict[str, int]) -> dict[str, str]:
    """Read a body: an object of just these members, texts of so many characters at most."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        document: dict[str, str] = orjson.loads(body)
        if document.keys() != limits.keys():
            raise Refused(400)
        if not all(0 < len(document[name]) <= limit for name, limit in limits.items()):
            raise Refused(400)
    except (ValueError, AttributeError, TypeError):
        raise Refused(400) from None
    return document


def _matches(password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False


app = Floor()
