"""FastAPI as it is usually written: a session a request by `Depends`, SQLAlchemy's ORM on asyncpg, response models."""

from __future__ import annotations

import asyncio
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
from bench.apps.tables import ASYNCPG_URL, POOL_SIZE, BlocklistEntry, Post, Session, User
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import contains_eager

engine = create_async_engine(ASYNCPG_URL, pool_size=POOL_SIZE, max_overflow=0)
new_session = async_sessionmaker(engine, expire_on_commit=False)
hasher = PasswordHasher()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the pool at the end."""
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with new_session() as session:
        yield session


Database = Annotated[AsyncSession, Depends(get_session)]
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


async def get_caller(bearer: Bearer, session: Database) -> User:
    """Return whose token it is."""
    try:
        claims = tokens.read(bearer.credentials)
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Invalid token") from error
    blocked = select(BlocklistEntry.id).where(BlocklistEntry.id.in_(claims.blocked_ids)).limit(1)
    if await session.scalar(blocked) is not None:
        raise HTTPException(401, "Token has been revoked")
    user = await session.get(User, claims.user_id)
    if user is None or not user.is_active:
        raise HTTPException(401, "Invalid token")
    return user


Caller = Annotated[User, Depends(get_caller)]


@app.get("/api/auth/me", response_model=PrivateUser)
async def me(caller: Caller) -> Any:
    """Get one's own account."""
    return caller


@app.get("/api/users/")
async def list_users(
    caller: Caller,
    session: Database,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 20,
) -> UserPage:
    """List the accounts, newest first."""
    listed = select(User).where(~User.is_removed).order_by(User.created_at.desc(), User.id.desc())
    users = await session.scalars(listed.limit(per_page).offset((page - 1) * per_page))
    total = await session.scalar(select(func.count()).select_from(User).where(~User.is_removed)) or 0
    return UserPage(
        users=[
            (PrivateUser if caller.role == "admin" or user.id == caller.id else PublicUser).model_validate(user)
            for user in users
        ],
        per_page=per_page,
        next_cursor=None,  # the service's is sealed with a key
        total=total,
        pages=math.ceil(total / per_page),
        current_page=page,
    )


@app.get("/api/posts/{post_id}")
async def get_post(post_id: uuid.UUID, session: Database) -> PostView:
    """Get one post."""
    statement = (
        select(Post)
        .join(Post.author)
        .where(Post.id == post_id, ~Post.is_removed, ~User.is_removed)
        .options(contains_eager(Post.author))
    )
    post = await session.scalar(statement)
    if post is None:
        raise HTTPException(404, "Not found")
    return view_of(post, post.author)


@app.post("/api/posts/", status_code=201)
async def create_post(new: NewPost, caller: Caller, session: Database) -> PostView:
    """Write a post."""
    post = Post(author_id=caller.id, title=new.title, body=new.body)
    session.add(post)
    await session.commit()
    return view_of(post, caller)


@app.post("/api/auth/login")
async def log_in(login: Login, request: Request, session: Database) -> LoggedIn:
    """Log in; a session begins."""
    user = await session.scalar(select(User).where(User.email_key == func.postern_fold(login.email.strip())))
    if user is None or not await run_in_threadpool(matches, user.password_hash, login.password):
        raise HTTPException(401, "Invalid credentials")
    if not user.is_active:
        raise HTTPException(403, "Account disabled")
    client = request.client.host if request.client else None
    begun = tokens.begin(user.id, client, request.headers.get("User-Agent"))
    session.add(Session(**begun.row))
    await session.commit()
    return LoggedIn(**begun.answer, user=PrivateUser.model_validate(user))


@app.get("/wait")
async def wait() -> dict[str, bool]:
    """Wait as if for somebody else's service."""
    await asyncio.sleep(0.01)
    return {"waited": True}


def view_of(post: Post, author: User) -> PostView:
    """Return a post as it is shown."""
    return PostView(
        id=post.id,
        title=post.title,
        body=post.body,
        author=author.username,
        author_id=post.author_id,
        created_at=post.created_at,
        updated_at=post.updated_at,
    )


def matches(password_hash: str, password: str) -> bool:
    """Tell whether a password is the one of the hash."""
    try:
        return hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False
