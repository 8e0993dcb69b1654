"""FastAPI, stripped of what makes it FastAPI. Beside what the tuned one lacks it has no dependencies, no access log and
no response models, but orjson; its heap is out of the garbage collector's sight.
"""

from __future__ import annotations

import asyncio
import gc
import math
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import jwt
import orjson
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from bench.apps import tokens
from bench.apps.fastapi_models import Login, NewPost
from bench.apps.statements import CALLER, COUNT, COUNTED_ROWS, LOGIN, NEW_POST, NEW_SESSION, POST, USERS
from bench.apps.tables import ASYNCPG_URL, POOL_SIZE
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(ASYNCPG_URL, pool_size=POOL_SIZE, max_overflow=0, isolation_level="AUTOCOMMIT")
hasher = PasswordHasher()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Keep the collector from what start-up has made; close the pool at the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000, 20, 100)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/api/auth/me")
async def me(request: Request) -> Response:
    """Get one's own account."""
    return answer(await caller_of(request))


@app.get("/api/users/")
async def list_users(
    request: Request,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """List the accounts, newest first."""
    caller = await caller_of(request)
    async with engine.connect() as connection:
        found = (await connection.execute(USERS, {"limit": per_page, "offset": (page - 1) * per_page})).all()
        total = (await connection.execute(COUNT)).scalar_one()
    users = [row._asdict() for row in found]
    if caller["role"] != "admin":
        for user in users:
            if user["id"] != caller["id"]:
                del user["email"], user["role"]
    document = {"users": users, "per_page": per_page, "next_cursor": None, "current_page": page}
    if total > COUNTED_ROWS:
        total, document["total_capped"] = COUNTED_ROWS, True
    return answer(document | {"total": total, "pages": math.ceil(total / per_page)})


@app.get("/api/posts/{post_id}")
async def get_post(post_id: uuid.UUID) -> Response:
    """Get one post."""
    row = await one(POST, post_id=post_id)
    if row is None:
        raise HTTPException(404, "Not found")
    return answer(row._asdict())


@app.post("/api/posts/")
async def create_post(new: NewPost, request: Request) -> Response:
    """Write a post."""
    caller = await caller_of(request)
    post = {"author_id": caller["id"], "title": new.title, "body": new.body}
    row = await one(NEW_POST, **post)
    assert row is not None
    return answer(row._asdict() | post | {"author": caller["username"]}, 201)


@app.post("/api/auth/login")
async def log_in(login: Login, request: Request) -> Response:
    """Log in; a session begins. No connection waits for the hash."""
    row = await one(LOGIN, email=login.email.strip())
    if row is None or not await run_in_threadpool(matches, row.password_hash, login.password):
        raise HTTPException(401, "Invalid credentials")
    if not row.is_active:
        raise HTTPException(403, "Account disabled")
    user = row._asdict()
    del user["password_hash"]
    client = request.client.host if request.client else None
    begun = tokens.begin(row.id, client, request.headers.get("User-Agent"))
    async with engine.connect() as connection:
        await connection.execute(NEW_SESSION, begun.row)
    return answer(begun.answer | {"user": user})


@app.get("/wait")
async def wait() -> Response:
    """Wait as if for somebody else's service."""
    await asyncio.sleep(0.01)
    return answer({"waited": True})


async def caller_of(request: Request) -> dict[str, Any]:
    """Return the account of the request's token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401, "Missing access token")
    try:
        claims = tokens.read(token)
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Invalid token") from error
    row = await one(CALLER, user_id=claims.user_id, blocked_ids=claims.blocked_ids)
    if row is None or row.revoked or not row.is_active:
        raise HTTPException(401, "Invalid token")
    caller = row._asdict()
    del caller["revoked"]
    return caller


async def one(statement: Any, **values: Any) -> Row[Any] | None:
    """Run a statement of its own for a row."""
    async with engine.connect() as connection:
        return (await connection.execute(statement, values)).one_or_none()


def answer(document: dict[str, Any], status: int = 200) -> Response:
    """Return the JSON."""
    body = orjson.dumps(document, default=str, option=orjson.OPT_UTC_Z)  # asyncpg's UUID is a class of its own
    return Response(body, status, media_type="application/json")


def matches(password_hash: str, password: str) -> bool:
    """Tell whether a password is the one of the hash."""
    try:
        return hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False
