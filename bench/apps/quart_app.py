"""Quart as it is usually written: a decorator that finds the caller, a session a request in `g`, SQLAlchemy's ORM on
asyncpg, and dicts that become JSON.
"""

from __future__ import annotations

import asyncio
import datetime
import math
import uuid
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from bench.apps import tokens
from bench.apps.tables import ASYNCPG_URL, POOL_SIZE, BlocklistEntry, Post, Session, User
from quart import Quart, abort, g, request
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import contains_eager

engine = create_async_engine(ASYNCPG_URL, pool_size=POOL_SIZE, max_overflow=0)
new_session = async_sessionmaker(engine, expire_on_commit=False)
hasher = PasswordHasher()
app = Quart(__name__)

View = Callable[..., Awaitable[Any]]


@app.after_serving
async def close() -> None:
    """Close the pool."""
    await engine.dispose()


@app.before_request
async def open_session() -> None:
    """Give a request its session."""
    g.session = new_session()


@app.teardown_request
async def close_session(_: BaseException | None) -> None:
    """Give its connection back."""
    await g.session.close()


def signed_in(view: View) -> View:
    """Give the view the caller."""

    @wraps(view)
    async def guarded(**arguments: Any) -> Any:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            abort(401, "Missing access token")
        try:
            claims = tokens.read(token)
        except jwt.InvalidTokenError:
            abort(401, "Invalid token")
        blocked = select(BlocklistEntry.id).where(BlocklistEntry.id.in_(claims.blocked_ids)).limit(1)
        if await g.session.scalar(blocked) is not None:
            abort(401, "Token has been revoked")
        user = await g.session.get(User, claims.user_id)
        if user is None or not user.is_active:
            abort(401, "Invalid token")
        return await view(caller=user, **arguments)

    return guarded


@app.get("/api/auth/me")
@signed_in
async def me(caller: User) -> dict[str, Any]:
    """Get one's own account."""
    return private(caller)


@app.get("/api/users/")
@signed_in
async def list_users(caller: User) -> dict[str, Any]:
    """List the accounts, newest first."""
    page = request.args.get("page", 1, type=int)
    per_page = min(request.args.get("per_page", 20, type=int), 100)
    if page < 1 or per_page < 1:
        abort(400)
    session: AsyncSession = g.session
    listed = select(User).where(~User.is_removed).order_by(User.created_at.desc(), User.id.desc())
    users = await session.scalars(listed.limit(per_page).offset((page - 1) * per_page))
    total = await session.scalar(select(func.count()).select_from(User).where(~User.is_removed)) or 0
    is_admin = caller.role == "admin"
    return {
        "users": [private(user) if is_admin or user.id == caller.id else public(user) for user in users],
        "per_page": per_page,
        "next_cursor": None,  # the service's is sealed with a key
        "total": total,
        "pages": math.ceil(total / per_page),
        "current_page": page,
    }


@app.get("/api/posts/<uuid:post_id>")
async def get_post(post_id: uuid.UUID) -> dict[str, Any]:
    """Get one post."""
    statement = (
        select(Post)
        .join(Post.author)
        .where(Post.id == post_id, ~Post.is_removed, ~User.is_removed)
        .options(contains_eager(Post.author))
    )
    post = await g.session.scalar(statement)
    if post is None:
        abort(404)
    return view_of(post, post.author)


@app.post("/api/posts/")
@signed_in
async def create_post(caller: User) -> tuple[dict[str, Any], int]:
    """Write a post."""
    new = await document(title=200, body=65_536)
    post = Post(author_id=caller.id, title=new["title"], body=new["body"])
    g.session.add(post)
    await g.session.commit()
    return view_of(post, caller), 201


@app.post("/api/auth/login")
async def log_in() -> dict[str, Any]:
    """Log in; a session begins."""
    login = await document(email=480, password=4096)
    user = await g.session.scalar(select(User).where(User.email_key == func.postern_fold(login["email"].strip())))
    if user is None or not await asyncio.to_thread(matches, user.password_hash, login["password"]):
        abort(401, "Invalid credentials")
    if not user.is_active:
        abort(403, "Account disabled")
    begun = tokens.begin(user.id, request.remote_addr, request.headers.get("User-Agent"))
    g.session.add(Session(**begun.row))
    await g.session.commit()
    return begun.answer | {"user": private(user)}


async def document(**limits: int) -> dict[str, str]:
    """Return the request's body: an object of just these members, texts of so many characters at most."""
    body: Any = await request.get_json()
    if not isinstance(body, dict) or body.keys() != limits.keys():
        abort(400)
    if not all(isinstance(body[name], str) and 0 < len(body[name]) <= limit for name, limit in limits.items()):
        abort(400)
    return dict(body)


def public(user: User) -> dict[str, Any]:
    """Return an account as everybody sees it."""
    return {
        "id": user.id,
        "username": user.username,
        "is_active": user.is_active,
        "created_at": rfc3339(user.created_at),
        "updated_at": rfc3339(user.updated_at),
    }


def private(user: User) -> dict[str, Any]:
    """Return an account as its user and admins see it."""
    return public(user) | {"email": user.email, "role": user.role}


def view_of(post: Post, author: User) -> dict[str, Any]:
    """Return a post as it is shown."""
    return {
        "id": str(post.id),
        "title": post.title,
        "body": post.body,
        "author": author.username,
        "author_id": post.author_id,
        "created_at": rfc3339(post.created_at),
        "updated_at": rfc3339(post.updated_at),
    }


def rfc3339(time: datetime.datetime) -> str:
    """Write a time of UTC."""
    return time.isoformat().replace("+00:00", "Z")


def matches(password_hash: str, password: str) -> bool:
    """Tell whether a password is the one of the hash."""
    try:
        return hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False
