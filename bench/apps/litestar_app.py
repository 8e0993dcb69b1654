"""Litestar as it is usually written: a session a request as a dependency, SQLAlchemy's ORM on asyncpg, structs."""

from __future__ import annotations

import asyncio
import datetime
import math
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import jwt
import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from bench.apps import tokens
from bench.apps.tables import ASYNCPG_URL, POOL_SIZE, BlocklistEntry, Post, Session, User
from litestar import Litestar, Request, get, post
from litestar.di import Provide
from litestar.exceptions import NotAuthorizedException, NotFoundException, PermissionDeniedException
from litestar.params import Parameter
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import contains_eager

engine = create_async_engine(ASYNCPG_URL, pool_size=POOL_SIZE, max_overflow=0)
new_session = async_sessionmaker(engine, expire_on_commit=False)
hasher = PasswordHasher()


class PublicUser(msgspec.Struct):
    """An account as everybody sees it."""

    id: int
    username: str
    is_active: bool
    created_at: datetime.datetime
    updated_at: datetime.datetime


class PrivateUser(PublicUser):
    """An account as its user and admins see it."""

    email: str
    role: str


class UserPage(msgspec.Struct):
    """A page of accounts."""

    users: list[Any]
    per_page: int
    next_cursor: str | None
    total: int
    pages: int
    current_page: int


class NewPost(msgspec.Struct, forbid_unknown_fields=True):  # type: ignore[call-arg]  # unknown where mypy runs
    """A post to be written."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    body: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536)]


class PostView(msgspec.Struct):
    """A post, with its author's name."""

    id: uuid.UUID
    title: str
    body: str
    author: str
    author_id: int
    created_at: datetime.datetime
    updated_at: datetime.datetime


class Login(msgspec.Struct, forbid_unknown_fields=True):  # type: ignore[call-arg]  # as above
    """Who logs in."""

    email: str
    password: str


class LoggedIn(msgspec.Struct):
    """What a login answers."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int
    user: PrivateUser


async def provide_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with new_session() as session:
        yield session


async def provide_caller(request: Request[Any, Any, Any], session: AsyncSession) -> User:
    """Return whose token it is."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthorizedException("Missing access token")
    try:
        claims = tokens.read(token)
    except jwt.InvalidTokenError as error:
        raise NotAuthorizedException("Invalid token") from error
    blocked = select(BlocklistEntry.id).where(BlocklistEntry.id.in_(claims.blocked_ids)).limit(1)
    if await session.scalar(blocked) is not None:
        raise NotAuthorizedException("Token has been revoked")
    user = await session.get(User, claims.user_id)
    if user is None or not user.is_active:
        raise NotAuthorizedException("Invalid token")
    return user


CALLER = {"caller": Provide(provide_caller)}


@get("/api/auth/me", dependencies=CALLER)
async def me(caller: User) -> PrivateUser:
    """Get one's own account."""
    return private(caller)


@get("/api/users/", dependencies=CALLER)
async def list_users(
    caller: User,
    session: AsyncSession,
    page: Annotated[int, Parameter(ge=1, le=10_000)] = 1,
    per_page: Annotated[int, Parameter(ge=1, le=100)] = 20,
) -> UserPage:
    """List the accounts, newest first."""
    listed = select(User).where(~User.is_removed).order_by(User.created_at.desc(), User.id.desc())
    users = await session.scalars(listed.limit(per_page).offset((page - 1) * per_page))
    total = await session.scalar(select(func.count()).select_from(User).where(~User.is_removed)) or 0
    is_admin = caller.role == "admin"
    return UserPage(
        users=[
            private(user)
            if is_admin or user.id == caller.id
            else msgspec.convert(user, PublicUser, from_attributes=True)
            for user in users
        ],
        per_page=per_page,
        next_cursor=None,  # the service's is sealed with a key
        total=total,
        pages=math.ceil(total / per_page),
        current_page=page,
    )


@get("/api/posts/{post_id:uuid}")
async def get_post(post_id: uuid.UUID, session: AsyncSession) -> PostView:
    """Get one post."""
    statement = (
        select(Post)
        .join(Post.author)
        .where(Post.id == post_id, ~Post.is_removed, ~User.is_removed)
        .options(contains_eager(Post.author))
    )
    found = await session.scalar(statement)
    if found is None:
        raise NotFoundException
    return view_of(found, found.author)


@post("/api/posts/", dependencies=CALLER)
async def create_post(data: NewPost, caller: User, session: AsyncSession) -> PostView:
    """Write a post."""
    made = Post(author_id=caller.id, title=data.title, body=data.body)
    session.add(made)
    await session.commit()
    return view_of(made, caller)


@post("/api/auth/login", status_code=200)
async def log_in(data: Login, request: Request[Any, Any, Any], session: AsyncSession) -> LoggedIn:
    """Log in; a session begins."""
    user = await session.scalar(select(User).where(User.email_key == func.postern_fold(data.email.strip())))
    if user is None or not await asyncio.to_thread(matches, user.password_hash, data.password):
        raise NotAuthorizedException("Invalid credentials")
    if not user.is_active:
        raise PermissionDeniedException("Account disabled")
    client = request.client.host if request.client else None
    begun = tokens.begin(user.id, client, request.headers.get("User-Agent"))
    session.add(Session(**begun.row))
    await session.commit()
    return LoggedIn(**begun.answer, user=private(user))


def private(user: User) -> PrivateUser:
    """Return an account as its user and admins see it."""
    shown: PrivateUser = msgspec.convert(user, PrivateUser, from_attributes=True)
    return shown


def view_of(made: Post, author: User) -> PostView:
    """Return a post as it is shown."""
    return PostView(
        id=made.id,
        title=made.title,
        body=made.body,
        author=author.username,
        author_id=made.author_id,
        created_at=made.created_at,
        updated_at=made.updated_at,
    )


def matches(password_hash: str, password: str) -> bool:
    """Tell whether a password is the one of the hash."""
    try:
        return hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False


@asynccontextmanager
async def lifespan(_: Litestar) -> AsyncIterator[None]:
    """Close the pool at the end."""
    yield
    await engine.dispose()


app = Litestar(
    [me, list_users, get_post, create_post, log_in],
    dependencies={"session": Provide(provide_session)},
    lifespan=[lifespan],
)
