"""FastAPI, tuned by hand: one statement on an AUTOCOMMIT connection for each thing that is asked, columns instead of
entities, and no session. What a service in production has stays: dependencies, response models, the access log.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from bench.apps import tokens
from bench.apps.fastapi_models import LoggedIn, Login, NewPost, PostView, PrivateUser, PublicUser, UserPage
from bench.apps.statements import CALLER, COUNT, COUNTED_ROWS, LOGIN, NEW_POST, NEW_SESSION, POST, USERS
from bench.apps.tables import ASYNCPG_URL, POOL_SIZE
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(ASYNCPG_URL, pool_size=POOL_SIZE, max_overflow=0, isolation_level="AUTOCOMMIT")
hasher = PasswordHasher()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the pool at the end."""
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


async def get_caller(bearer: Bearer) -> Row[Any]:
    """Return whose token it is."""
    try:
        claims = tokens.read(bearer.credentials)
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Invalid token") from error
    row = await one(CALLER, user_id=claims.user_id, blocked_ids=claims.blocked_ids)
    if row is None or row.revoked or not row.is_active:
        raise HTTPException(401, "Invalid token")
    return row


Caller = Annotated[Row[Any], Depends(get_caller)]


@app.get("/api/auth/me", response_model=PrivateUser)
async def me(caller: Caller) -> Any:
    """Get one's own account."""
    return caller


@app.get("/api/users/", response_model_exclude_unset=True)
async def list_users(
    caller: Caller,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 20,
) -> UserPage:
    """List the accounts, newest first."""
    async with engine.connect() as connection:
        found = (await connection.execute(USERS, {"limit": per_page, "offset": (page - 1) * per_page})).all()
        total = min((await connection.execute(COUNT)).scalar_one(), COUNTED_ROWS)
    return UserPage(
        users=[
            (PrivateUser if caller.role == "admin" or user.id == caller.id else PublicUser).model_validate(user)
            for user in found
        ],
        per_page=per_page,
        next_cursor=None,  # the service's is sealed with a key
        total=total,
        pages=math.ceil(total / per_page),
        current_page=page,
    )


@app.get("/api/posts/{post_id}", response_model=PostView)
async def get_post(post_id: uuid.UUID) -> Any:
    """Get one post."""
    row = await one(POST, post_id=post_id)
    if row is None:
        raise HTTPException(404, "Not found")
    return row._asdict()


@app.post("/api/posts/", status_code=201, response_model=PostView)
async def create_post(new: NewPost, caller: Caller) -> Any:
    """Write a post."""
    post = {"author_id": caller.id, "title": new.title, "body": new.body}
    row = await one(NEW_POST, **post)
    assert row is not None
    return row._asdict() | post | {"author": caller.username}


@app.post("/api/auth/login")
async def log_in(login: Login, request: Request) -> LoggedIn:
    """Log in; a session begins. No connection waits for the hash."""
    row = await one(LOGIN, email=login.email.strip())
    if row is None or not await run_in_threadpool(matches, row.password_hash, login.password):
        raise HTTPException(401, "Invalid credentials")
    if not row.is_active:
        raise HTTPException(403, "Account disabled")
    client = request.client.host if request.client else None
    begun = tokens.begin(row.id, client, request.headers.get("User-Agent"))
    async with engine.connect() as connection:
        await connection.execute(NEW_SESSION, begun.row)
    return LoggedIn(**begun.answer, user=PrivateUser.model_validate(row))


async def one(statement: Any, **values: Any) -> Row[Any] | None:
    """Run a statement of its own for a row."""
    async with engine.connect() as connection:
        return (await connection.execute(statement, values)).one_or_none()


def matches(password_hash: str, password: str) -> bool:
    """Tell whether a password is the one of the hash."""
    try:
        return hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False
